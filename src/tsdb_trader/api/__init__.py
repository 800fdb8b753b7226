"""One thin, typed function per public SQL function; the caller owns the transaction."""
