# Median regression with quantreg for `run.py sensitivity`. Arguments: fn or pfn, rows, columns, the files of the table
# and the target (raw little-endian doubles, the table by rows), the file for the coefficients of every timed run, runs.
# Standard output: one JSON object with the seconds, the warnings and the versions.
suppressMessages(library(quantreg))
words <- commandArgs(trailingOnly = TRUE)
solve_with <- list(fn = rq.fit.fnb, pfn = rq.fit.pfn)[[words[1]]]
n <- as.integer(words[2])
d <- as.integer(words[3])
doubles <- function(path, count) readBin(path, "double", count, endian = "little")
a <- matrix(doubles(words[4], n * d), n, d, byrow = TRUE)
b <- doubles(words[5], n)
said <- character()
listen <- function(w) {
  said <<- c(said, gsub("[^A-Za-z0-9 .,:=()-]", " ", conditionMessage(w)))
  invokeRestart("muffleWarning")
}
run <- function() withCallingHandlers(solve_with(a, b, tau = 0.5)$coefficients, warning = listen)
set.seed(0)
invisible(run())
seconds <- numeric()
out <- file(words[6], "wb")
for (seed in seq_len(as.integer(words[7]))) {
  set.seed(seed) # what subsamples are drawn with
  start <- Sys.time()
  x <- run()
  seconds <- c(seconds, as.numeric(difftime(Sys.time(), start, units = "secs")))
  writeBin(as.double(x), out, endian = "little")
}
close(out)
list_of <- function(texts) paste0("[", paste(texts, collapse = ", "), "]")
cat(sprintf(
  '{"seconds": %s, "warnings": %s, "versions": {"R": "%s", "quantreg": "%s", "BLAS of R": "%s"}}\n',
  list_of(sprintf("%.6f", seconds)), list_of(sprintf('"%s"', said)), getRversion(), packageVersion("quantreg"),
  basename(dirname(extSoftVersion()["BLAS"])) # "blas" is the reference
))
