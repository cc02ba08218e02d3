//! Compiles the .proto files without a system protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=writeback");
    let files = protox::compile(
        [
            "writeback/v1/operation.proto",
            "writeback/v1/bus.proto",
            "writeback/v1/audit.proto",
            "writeback/v1/health.proto",
        ],
        ["."],
    )?;
    tonic_prost_build::configure()
        // a seal is opaque, long, and nobody's to print
        .skip_debug([".writeback.v1.Request"])
        .compile_fds(files)?;
    Ok(())
}
