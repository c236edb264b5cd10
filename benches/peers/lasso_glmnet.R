# The Lasso with glmnet for `run.py lasso`. Arguments: naive or covariance, timed runs, the file for the answer, `thresh`;
# dense or sparse, rows, columns, the files of the table by columns (raw little-endian doubles; sparse: 64-bit offsets, 32-bit
# indices, values), the target and the lambdas. The answer: triplets of doubles (position of lambda, column, value). Standard
# output: one JSON object with the seconds of every timed run.
suppressMessages({
  library(glmnet)
  library(Matrix)
})
words <- commandArgs(trailingOnly = TRUE)
method <- words[1]
runs <- as.integer(words[2])
threshold <- as.numeric(words[4])
n <- as.integer(words[6])
p <- as.integer(words[7])
read <- function(path, what = "double", size = 8) readBin(path, what, file.size(path) / size, size, endian = "little")
if (words[5] == "dense") {
  x <- matrix(read(words[8]), n, p)
} else {
  x <- new("dgCMatrix", p = read(words[8], "integer"), i = read(words[9], "integer", 4), x = read(words[10]), Dim = c(n, p))
}
y <- read(words[length(words) - 1])
lambdas <- read(words[length(words)])
glmnet.control(fdev = 0, devmax = 1)
run <- function() {
  glmnet(x, y, lambda = lambdas, thresh = threshold, type.gaussian = method, standardize = FALSE, intercept = FALSE, maxit = 1e9)
}
if (runs > 1) invisible(run())
for (k in seq_len(runs)) {
  start <- Sys.time()
  fit <- run()
  cat(sprintf('{"seconds": %.6f}\n', as.numeric(difftime(Sys.time(), start, units = "secs"))))
}
w <- as(fit$beta, "TsparseMatrix")
out <- file(words[3], "wb")
writeBin(as.double(rbind(w@j, w@i, w@x)), out, endian = "little")
close(out)
