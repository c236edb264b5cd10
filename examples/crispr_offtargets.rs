//! A defence of E. coli against phage lambda by CRISPR: which guides cut the phage, and where would they cut the host?
//! Every 20 letters of lambda before an NGG become a guide; each is searched on both strands of the host's genome with up
//! to four mismatches, the PAM without any. `python3 scripts/fetch_data.py fetch ecoli`, then
//! `cargo run --release --example crispr_offtargets`; without the genome, lambda itself is searched.
use std::time::Instant;

use samplewise::hamming::{Alphabet, Options, Plan, Query, Search, reverse_complement};
use samplewise_testkit::fixtures;

const GUIDE: usize = 20;
const MISMATCHES: u32 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lambda = fixtures::fasta("lambda.fa.gz").remove(0).1.to_ascii_uppercase();
    let (name, host) = match fixtures::full_data("ecoli/ecoli_MG1655.fa") {
        Some(path) => {
            let text = std::fs::read_to_string(path)?;
            ("E. coli K-12", text.lines().filter(|l| !l.starts_with('>')).flat_map(str::bytes).collect())
        }
        None => ("lambda", lambda.clone()),
    };
    // Guides on the forward strand, with the PAM as IUPAC letters.
    let guides: Vec<(usize, Vec<u8>)> = lambda
        .windows(GUIDE + 3)
        .enumerate()
        .filter(|(_, site)| site.ends_with(b"GG"))
        .map(|(at, site)| (at, [&site[..GUIDE], b"NGG"].concat()))
        .collect();
    let queries: Vec<Query<'_>> =
        guides.iter().map(|(_, g)| Query::new(g, MISMATCHES).requiring(GUIDE..GUIDE + 3)).collect();
    let options = Options { alphabet: Alphabet::Iupac, ..Options::default() };
    let search = Search::both_strands(&queries, &options)?;
    let start = Instant::now();
    let found = search.find(&host);
    let seconds = start.elapsed().as_secs_f64();
    let places = 2.0 * host.len() as f64 * guides.len() as f64;
    println!("{} guides against lambda, both strands of {} letters of {name}", guides.len(), host.len());
    println!("{places:.2e} places looked at in {seconds:.2} s; path {}\n", found.report.route.name());

    let mut sites = vec![[0_usize; MISMATCHES as usize + 1]; guides.len()];
    found.hits.iter().for_each(|h| sites[h.query][h.distance as usize] += 1);
    println!("mismatches   sites   guides with such a site");
    for k in 0..=MISMATCHES as usize {
        let many: usize = sites.iter().map(|s| s[k]).sum();
        println!("{k:10} {many:7} {:9}", sites.iter().filter(|s| s[k] > 0).count());
    }
    let clean = sites.iter().filter(|s| s.iter().all(|&n| n == 0)).count();
    println!("\n{clean} guides have no site at all within {MISMATCHES} mismatches\n\nthe closest sites:");

    let mut closest = found.hits.clone();
    closest.sort_by_key(|h| (h.distance, h.position));
    for h in closest.iter().take(3) {
        let (at, guide) = &guides[h.query];
        let site = &host[h.position..h.position + guide.len()];
        let site = if h.reverse { reverse_complement(site) } else { site.to_vec() };
        let wrong = Plan::new(guide, &options)?.mismatch_positions(&site, 0)?;
        let marks: String = (0..guide.len()).map(|j| if wrong.contains(&j) { ' ' } else { '|' }).collect();
        println!("  lambda {at:6}  {}", String::from_utf8_lossy(guide));
        println!("                 {marks}");
        let strand = if h.reverse { '-' } else { '+' };
        println!(
            "  host {:8} {} strand {strand}, {} mismatches",
            h.position,
            String::from_utf8_lossy(&site),
            h.distance
        );
    }
    Ok(())
}
