//! Signing policies (gsi.md §8): which subjects a CA may sign.
