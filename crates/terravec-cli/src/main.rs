//! The `terravec` command.
fn main() {}
