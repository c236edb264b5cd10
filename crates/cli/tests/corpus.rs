//! Every file of the corpus, its beginnings, and the same with single bits changed, through the reader it is meant for. The
//! fuzz targets do the same with whatever they make of these files.
#![allow(unsafe_code, reason = "an allocator that counts")]
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "corpus/targets.rs"]
mod targets;

/// Counts what is allocated, and how much at most.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: Every call is passed on to the allocator of the system unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(live, Ordering::Relaxed);
        // SAFETY: The caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: As above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that any reader may take, and those for each byte of the file.
const CONSTANT: usize = 32 << 20;
const PER_BYTE: usize = 4096;
/// A sparse matrix may have that many rows and columns without entries.
const SPARSE: usize = 1 << 29;
/// Files up to this size are also cut at every length.
const SHORT: usize = 2048;
/// Changed bits of a file.
const FLIPS: usize = 256;

/// Runs one input; what is wrong with that is said with the file and what was done with it.
fn run((name, target): targets::Target, data: &[u8], wrong: &mut Vec<String>, what: &dyn Fn() -> String) {
    let before = LIVE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let done = catch_unwind(|| target(data));
    let taken = MOST.load(Ordering::Relaxed).saturating_sub(before);
    if done.is_err() {
        wrong.push(format!("{name}: {} panicked", what()));
    }
    let most = if name == "matrix_market" { SPARSE } else { CONSTANT } + PER_BYTE * data.len();
    if taken > most {
        wrong.push(format!("{name}: {} took {taken} bytes of memory, allowed are {most}", what()));
    }
}

/// The matrix products of faer keep a buffer for each thread, whose size follows the caches that the machine reports: where
/// those are many it is larger than all that a file may take. It is made here, before anything is counted.
fn make_buffers() {
    let columns = vec![1.0, 2.0, 3.0, 9.0, -1.0, 0.5, 2.0, -2.0, 1.0, 0.0, 4.0, 1.0];
    let design = samplewise_lasso::Design::dense_columns(columns, 4, 3).unwrap();
    let fit = samplewise_lasso::solve(&design, &[-1.5, -0.5, 2.5, 2.5], 0.01, &samplewise_lasso::Options::default());
    assert!(fit.unwrap().coefficients.len() > 1, "several columns meet in a product");
}

#[test]
fn the_corpus_and_what_is_near_it() {
    make_buffers();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut wrong = Vec::new();
    for target in targets::TARGETS {
        let folder = root.join(target.0);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            let data = fs::read(&file).unwrap();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            run(target, &data, &mut wrong, &|| name.clone());
            if data.len() <= SHORT {
                for len in 0..data.len() {
                    run(target, &data[..len], &mut wrong, &|| format!("{name} cut at {len}"));
                }
            }
            let mut changed = data.clone();
            for at in (0..data.len()).step_by(data.len().div_ceil(FLIPS).max(1)) {
                let bit = 1 << (at * 5 % 8);
                changed[at] ^= bit;
                run(target, &changed, &mut wrong, &|| format!("{name} with {bit:#x} changed at {at}"));
                changed[at] ^= bit;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
