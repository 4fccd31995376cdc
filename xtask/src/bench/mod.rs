//! `cargo xtask bench`: Lakemill beside its peers, measured in turns on one machine in one run.
pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    Ok(())
}
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {}
