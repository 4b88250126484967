//! Prints what is fed, one a line: name, limit in bytes, seed in hexadecimal.

#![allow(clippy::print_stdout, reason = "printing is what it does")]

fn main() {
    for target in belfry_fuzz::targets() {
        print!("{}\t{}\t", target.name(), target.bytes_max());
        for byte in target.seed() {
            print!("{byte:02x}");
        }
        println!();
    }
}
