//! Work shared out to threads, one a core: each makes whole pieces with threads of libtorch of its
//! own, so there are no barriers inside a piece. Results come back in order and do not depend on how
//! many workers there are.

use anyhow::{Context, Error, Result};
use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

/// Bytes of stack of a worker: as many as the main thread has.
const STACK: usize = 8 << 20;

/// Pieces that are handed out before the first of them is taken back, for each worker.
const AHEAD: usize = 2;

/// How work is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crew {
    /// Pieces that are made at the same time.
    pub workers: usize,
    /// Threads of libtorch inside each.
    pub threads: usize,
}

impl Crew {
    /// Of `threads` in all, for so many `pieces`, of which memory has `room` for so many at once. Where
    /// there are fewer pieces than threads, each has several threads.
    pub fn of(threads: usize, pieces: usize, room: usize) -> Self {
        let workers = threads.min(pieces).min(room).max(1);
        Crew { workers, threads: (threads / workers).max(1) }
    }
}

/// Tells pieces under way that nobody waits for them any more.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

/// What a stopped piece unwinds with.
struct Stopped;

impl Stop {
    /// Ends a piece that is not wanted any more; called between its steps.
    pub fn check(&self) {
        if self.0.load(Ordering::Relaxed) {
            resume_unwind(Box::new(Stopped));
        }
    }

    fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What became of a piece: its result, or what it panicked with.
type Ended<T> = Result<Result<T>, Box<dyn Any + Send>>;

/// Makes something of every item and hands it to `take`, in the order of the items. The first item
/// that fails, in this order, gives the error, whatever became of later ones; what was made of earlier
/// ones was taken before. One worker is the calling thread.
pub fn each<I: Send, T: Send>(
    crew: Crew,
    items: impl Iterator<Item = Result<I>>,
    make: impl Fn(I, &Stop) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let stop = Stop::default();
    if crew.workers < 2 {
        return items.into_iter().try_for_each(|item| take(make(item?, &stop)?));
    }
    // Of the process in name, of the calling thread in effect.
    let before = tch::get_num_threads();
    let (todo, jobs) = mpsc::channel();
    let (sender, made) = mpsc::channel();
    let jobs = Mutex::new(jobs);
    let done = thread::scope(|scope| {
        let (jobs, make, stop) = (&jobs, &make, &stop);
        for number in 0..crew.workers {
            let sender = sender.clone();
            let builder = thread::Builder::new().name(format!("worker {number}"));
            let work = move || work(crew.threads, jobs, &sender, |item| make(item, stop));
            let started = builder.stack_size(STACK).spawn_scoped(scope, work);
            started.context("the system starts no more threads; `--threads 1` needs none")?;
        }
        drop(sender);
        let done = catch_unwind(AssertUnwindSafe(|| {
            in_order(crew.workers * AHEAD, items, &todo, &made, &mut take)
        }));
        stop.raise();
        drop(todo);
        done.unwrap_or_else(|panic| resume_unwind(panic))
    });
    tch::set_num_threads(before);
    done
}

/// One worker: takes what is next until nothing is left.
fn work<I, T>(
    threads: usize,
    jobs: &Mutex<Receiver<(usize, I)>>,
    made: &Sender<(usize, Ended<T>)>,
    make: impl Fn(I) -> Result<T>,
) {
    tch::set_num_threads(threads as i32);
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, item)) = job else { return };
        let ended = catch_unwind(AssertUnwindSafe(|| make(item)));
        if made.send((number, ended)).is_err() {
            return;
        }
    }
}

/// Hands items out, at most `ahead` before the next one that is taken, and takes what is made of them
/// in their order.
fn in_order<I, T>(
    ahead: usize,
    items: impl Iterator<Item = Result<I>>,
    todo: &Sender<(usize, I)>,
    made: &Receiver<(usize, Ended<T>)>,
    take: &mut impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let gone = || Error::msg("the workers ended before their work");
    let mut items = items.fuse();
    let (mut sent, mut next, mut unread) = (0, 0, None);
    let mut waiting: BTreeMap<usize, Ended<T>> = BTreeMap::new();
    loop {
        while unread.is_none() && sent < next + ahead {
            match items.next() {
                Some(Ok(item)) => todo.send((sent, item)).map_err(|_| gone())?,
                Some(Err(error)) => unread = Some(error),
                None => break,
            }
            sent += usize::from(unread.is_none());
        }
        if next == sent {
            return unread.map_or(Ok(()), Err);
        }
        while !waiting.contains_key(&next) {
            let (number, ended) = made.recv().map_err(|_| gone())?;
            waiting.insert(number, ended);
        }
        match waiting.remove(&next).expect("it came") {
            Ok(found) => take(found?)?,
            Err(panic) => resume_unwind(panic),
        }
        next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    const CREWS: [Crew; 3] = [
        Crew { workers: 1, threads: 1 },
        Crew { workers: 2, threads: 1 },
        Crew { workers: 4, threads: 1 },
    ];

    /// Later pieces of a row of four end first.
    fn slow(i: u64) -> u64 {
        thread::sleep(std::time::Duration::from_millis(2 * (3 - i % 4)));
        i * i
    }

    #[test]
    fn results_come_in_order() {
        for crew in CREWS {
            let mut taken = vec![];
            let take = |i| {
                taken.push(i);
                Ok(())
            };
            each(crew, (0..37).map(Ok), |i, _| Ok(slow(i)), take).expect("no error");
            assert_eq!(taken, (0..37).map(|i| i * i).collect::<Vec<_>>(), "{crew:?}");
            each(crew, std::iter::empty(), |i, _| Ok(slow(i)), |_| bail!("nothing")).expect("none");
        }
    }

    #[test]
    fn the_first_image_says_what_is_wrong() {
        let make = |i: u64, _: &Stop| {
            let found = slow(i);
            anyhow::ensure!(i < 5, "piece {i}");
            Ok(found)
        };
        for crew in CREWS {
            let mut taken = 0;
            let take = |_| {
                taken += 1;
                Ok(())
            };
            let items = (0..40).map(|i| if i == 7 { bail!("unread") } else { Ok(i) });
            let error = each(crew, items, make, take).expect_err("it fails");
            assert_eq!((error.to_string().as_str(), taken), ("piece 5", 5), "{crew:?}");
            let items = (0..40).map(|i| if i == 3 { bail!("unread") } else { Ok(i) });
            let error = each(crew, items, make, |_| Ok(())).expect_err("it fails");
            assert_eq!(error.to_string(), "unread", "{crew:?}");
            let refused = |i| if i == 4 { bail!("refused") } else { Ok(()) };
            let error = each(crew, (0..40).map(Ok), make, refused).expect_err("it fails");
            assert_eq!(error.to_string(), "refused", "{crew:?}");
        }
    }

    #[test]
    fn a_piece_that_nobody_waits_for_ends() {
        let make = |i: u64, stop: &Stop| {
            anyhow::ensure!(i > 0, "the first");
            loop {
                stop.check();
                thread::yield_now();
            }
        };
        let error = each::<u64, ()>(CREWS[1], (0..4).map(Ok), make, |()| Ok(()));
        assert_eq!(error.expect_err("it fails").to_string(), "the first");
    }

    #[test]
    fn a_panic_goes_on_in_the_caller() {
        std::panic::set_hook(Box::new(|_| ()));
        let make = |i: u64, _: &Stop| if i == 2 { resume_unwind(Box::new(i)) } else { Ok(slow(i)) };
        for crew in CREWS {
            let all = || each(crew, (0..9).map(Ok), make, |_| Ok(()));
            let panic = catch_unwind(all).expect_err("it panics");
            assert_eq!(panic.downcast_ref::<u64>(), Some(&2), "{crew:?}");
        }
        let _ = std::panic::take_hook();
    }

    #[test]
    fn threads_are_shared_out() {
        let of = |threads, pieces, room| {
            let Crew { workers, threads } = Crew::of(threads, pieces, room);
            (workers, threads)
        };
        assert_eq!(of(8, 100, 100), (8, 1));
        assert_eq!(of(8, 1, 100), (1, 8)); // one large image
        assert_eq!(of(8, 3, 100), (3, 2));
        assert_eq!(of(8, 100, 2), (2, 4)); // memory for two
        assert_eq!(of(8, 100, 0), (1, 8));
        assert_eq!(of(1, 100, 100), (1, 1));
    }

    #[test]
    fn every_worker_has_threads_of_its_own() {
        let before = tch::get_num_threads();
        let crew = Crew { workers: 2, threads: 3 };
        let mut seen = vec![];
        let make = |_, _: &Stop| {
            let x = tch::Tensor::ones([1 << 16], tch::kind::FLOAT_CPU);
            Ok((tch::get_num_threads(), x.exp().sum(tch::Kind::Float).double_value(&[])))
        };
        let take = |found: (i32, f64)| {
            seen.push(found.0);
            Ok(())
        };
        each(crew, (0..8).map(Ok), make, take).expect("no error");
        assert_eq!((seen, tch::get_num_threads()), (vec![3; 8], before));
    }
}
