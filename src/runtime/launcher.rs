//! The processes that `mpirun` or `srun` start for one training: how many there are, which GPU each
//! takes, and how they end together.

use crate::runtime::ui;
use anyhow::{Result, ensure};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};
use train::{Communicator, SingleProcess};

/// The number in the first of these environment variables that has one.
fn told(names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| std::env::var(name).ok()?.parse().ok())
}

/// How many processes were started together: what Open MPI, others, or Slurm say.
fn launched() -> usize {
    told(&["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"]).unwrap_or(1)
}

/// Which of the processes on this machine this one is, from 0 on.
pub fn local() -> usize {
    match launched() {
        0 | 1 => 0,
        _ => told(&["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"]).unwrap_or(0),
    }
}

/// The processes to train with; only this one where it was started by itself. Errors: it was not,
/// and cannot reach the others.
pub fn join() -> Result<Rc<dyn Communicator>> {
    let launched = launched();
    if launched < 2 {
        return Ok(Rc::new(SingleProcess));
    }
    let ranks = connected(launched)?;
    ensure!(
        ranks.size() == launched,
        "{launched} processes were started, but MPI connects {}: each would train alone into the \
         same folder; start them with Open MPI's `mpirun`, or with `srun --mpi=pmix`",
        ranks.size()
    );
    ui::speak_as(format!("rank {} of {launched}: ", ranks.rank()));
    Ok(ranks)
}

#[cfg(feature = "mpi")]
fn connected(_launched: usize) -> Result<Rc<dyn Communicator>> {
    Ok(Rc::new(train::Mpi::join()?))
}

#[cfg(not(feature = "mpi"))]
fn connected(launched: usize) -> Result<Rc<dyn Communicator>> {
    anyhow::bail!(
        "{launched} processes were started, but this program has no MPI: each would train alone \
         into the same folder; build it with `cargo build --release --features mpi`"
    )
}

/// Which MPI is built in, if any.
pub fn version() -> Option<String> {
    #[cfg(feature = "mpi")]
    return Some(train::communicator::mpi::version());
    #[cfg(not(feature = "mpi"))]
    None
}

/// What `work` says. Where one of several processes fails it ends all of them: the others would wait
/// for it for ever.
pub fn together<T>(ranks: &dyn Communicator, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if ranks.size() == 1 {
        return work();
    }
    let failed = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => Some(error),
        Err(_) => None, // the panic hook has said what and where
    };
    // What is wrong for all is said by rank 0, which then ends the others before they repeat it.
    if ranks.rank() > 0 {
        std::thread::sleep(Duration::from_secs(1));
    }
    let code = failed.as_ref().map_or(1, crate::exit_code);
    if let Some(error) = failed {
        ui::complain(&format!("{error:#}"));
    }
    ranks.abort(i32::from(code))
}
