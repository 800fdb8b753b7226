"""FIX: the codec, the message store on disk, the recovery gate and the QuickFIX session."""
