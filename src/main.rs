//! The program; the library has everything, so that its readers can be fuzzed.

fn main() -> std::process::ExitCode {
    gradproof::main()
}
