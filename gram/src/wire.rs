//! GRAM messages as bytes (gram.md §3, §4, §6, §7, §9): HTTP framing and bodies, no I/O. The owner (helper "gram") designs it:
//! incremental decoders (value / need more / error), limits before allocation, encoders giving header+body in one buffer.
