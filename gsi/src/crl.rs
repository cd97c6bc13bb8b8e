//! Certificate revocation lists (gsi.md §9).
