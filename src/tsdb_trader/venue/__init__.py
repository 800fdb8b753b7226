"""The simulated venue: a process, a role and a journal of its own."""
