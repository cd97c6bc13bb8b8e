//! One connection, step by step, each step its own type: accepted, authenticated, requested, permitted, answered.
