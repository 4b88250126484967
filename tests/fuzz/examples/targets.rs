//! Prints the registered parsers, one a line: name, limit in bytes, seed in hexadecimal.

#![allow(clippy::print_stdout, reason = "printing is what it does")]

fn main() {
    for target in belfry_fuzz::registry() {
        let seed: String = target.seed().iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{}\t{}\t{seed}", target.name(), target.bytes_max());
    }
}
