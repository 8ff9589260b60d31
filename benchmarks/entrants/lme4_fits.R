# Rscript lme4_fits.R TASK FOLDER OUTCOME: the counterpart of worker.py; prints the same line.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})

fits <- list(
  logistic = function(formula, frame) glmer(formula, frame, family = binomial, nAGQ = 0),
  linear = function(formula, frame) lmer(formula, frame, REML = FALSE)
)

read_frame <- function(folder, outcome) {
  shape <- fromJSON(file.path(folder, "shape.json"))
  values <- function(name, what, n, size) readBin(file.path(folder, name), what, n, size)
  X <- matrix(values("X.f64", "double", shape$rows * shape$columns, 8), shape$rows)
  colnames(X) <- sprintf("x%02d", seq_len(shape$columns))
  cbind(
    as.data.frame(X),
    y = values(paste0(outcome, ".f64"), "double", shape$rows, 8),
    provider = values("provider.i32", "integer", shape$rows, 4)
  )
}

memory <- function(what) {
  if (!file.exists("/proc/self/status")) {
    return(NULL)
  }
  line <- grep(paste0("^", what), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

forget_peak <- function() try(cat("5", file = "/proc/self/clear_refs"), silent = TRUE)

answer <- function(fit) {
  spread <- as.data.frame(VarCorr(fit))$sdcor
  se <- unname(sqrt(diag(as.matrix(vcov(fit)))))
  coef <- unname(fixef(fit))
  common <- list(intercept = coef[1], coef = coef[-1], se = se[-1], sigma = spread[1])
  if (isLMM(fit)) c(common, list(residual_sd = sigma(fit))) else common
}

arguments <- commandArgs(trailingOnly = TRUE)
frame <- read_frame(arguments[2], arguments[3])
covariates <- grep("^x", names(frame), value = TRUE)
formula <- as.formula(paste("y ~", paste(covariates, collapse = " + "), "+ (1 | provider)"))
fit <- fits[[arguments[1]]]
invisible(suppressMessages(suppressWarnings(answer(fit(formula, frame[frame$provider < 20, ])))))
invisible(gc())
forget_peak()
before <- memory("VmRSS")
start <- proc.time()
found <- suppressMessages(suppressWarnings(answer(fit(formula, frame))))
spent <- proc.time() - start
line <- list(
  seconds = spent[["elapsed"]], cpu_seconds = spent[["user.self"]] + spent[["sys.self"]],
  memory_mb = memory("VmHWM") - before, answer = found
)
cat(toJSON(line, digits = NA, auto_unbox = TRUE), "\n", sep = "")
