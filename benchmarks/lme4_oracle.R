# What lme4 answers on a small seeded world: the reference of tests/parity/test_lme4.py.
#
#   Rscript benchmarks/lme4_oracle.R        (from the project's folder; Debian: r-cran-lme4,
#                                            r-cran-jsonlite)
#
# Writes tests/parity/lme4/episodes.csv and answers.json; README.md there says what they hold.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})

folder <- "tests/parity/lme4"
covariates <- c("x1", "x2", "x3")
right <- "x1 + x2 + x3 + (1 | provider)"

# ---------------------------------------------------------------- the world

make_episodes <- function(seed = 20250117, providers = 40) {
  set.seed(seed)
  # From one episode to about a hundred and fifty.
  size <- pmax(1, round(exp(seq(log(0.8), log(150), length.out = providers))))
  provider <- rep(sprintf("p%02d", sample(providers)), size)
  n <- length(provider)
  code <- match(provider, sort(unique(provider)))
  quality <- rnorm(providers)
  # The case mix of a provider goes with its quality: estimators that ignore it would differ.
  x1 <- rnorm(n) + 0.3 * quality[code]
  x2 <- rbinom(n, 1, 0.4)
  x3 <- runif(n, -1, 1) + 0.5 * x1
  fixed <- 0.5 * x1 - 0.7 * x2 + 0.3 * x3
  data.frame(
    provider = provider, x1 = x1, x2 = x2, x3 = x3,
    binary = rbinom(n, 1, plogis(-0.8 + fixed + 0.5 * quality[code])),
    continuous = 20 + 4 * fixed + 2 * quality[code] + rnorm(n, sd = 6),
    cost = rgamma(n, shape = 2, scale = exp(8 + 0.6 * fixed + 0.3 * quality[code]) / 2)
  )[sample(n), ]
}

write_episodes <- function(episodes, path) {
  for (one in c("x1", "x3", "continuous")) episodes[[one]] <- round(episodes[[one]], 5)
  episodes$cost <- round(episodes$cost, 2)
  write.csv(episodes, path, row.names = FALSE, quote = FALSE)
}

# ---------------------------------------------------------------- the fits

linear <- function(episodes, reml) {
  lmer(as.formula(paste("continuous ~", right)), episodes,
    REML = reml,
    control = lmerControl(
      optimizer = "nloptwrap",
      optCtrl = list(xtol_abs = 1e-14, ftol_abs = 1e-14, xtol_rel = 1e-14, ftol_rel = 1e-15)
    )
  )
}

# Each fit starts where the one before it ended, until the answer stays where it was.
laplace <- function(outcome, family, episodes) {
  fit <- NULL
  moved <- Inf
  repeat {
    start <- if (is.null(fit)) NULL else list(theta = getME(fit, "theta"), fixef = fixef(fit))
    again <- glmer(as.formula(paste(outcome, "~", right)), episodes,
      family = family, nAGQ = 1, start = start,
      control = glmerControl(
        optimizer = "bobyqa", tolPwrss = 1e-13,
        optCtrl = list(rhobeg = if (is.null(fit)) 0.1 else 1e-3, rhoend = 1e-9, maxfun = 1e5)
      )
    )
    if (!is.null(fit)) moved <- max(abs(parameters(again) - parameters(fit)))
    fit <- again
    if (moved < 1e-7) {
      return(fit)
    }
  }
}

parameters <- function(fit) c(fixef(fit), getME(fit, "theta"))

# ---------------------------------------------------------------- the answers

answer <- function(fit) {
  modes <- ranef(fit, condVar = TRUE)$provider
  spread <- sqrt(as.numeric(attr(modes, "postVar")))
  Filter(Negate(is.null), list(
    coef = as.list(fixef(fit)),
    se = as.list(sqrt(diag(as.matrix(vcov(fit))))),
    se_without_hessian = if (isGLMM(fit)) without_hessian(fit),
    sd_provider = as.data.frame(VarCorr(fit))$sdcor[1],
    theta = unname(getME(fit, "theta")),
    sigma = sigma(fit),
    loglik = as.numeric(logLik(fit)),
    effects = as.list(setNames(modes[[1]], rownames(modes))),
    effects_sd = as.list(setNames(spread, rownames(modes))),
    messages = as.list(fit@optinfo$conv$lme4$messages)
  ))
}

# By default standard errors of glmer are those of a numerical Hessian in all parameters; these
# are those of the coefficients at a known spread. lme4 warns that the two differ, as they must.
without_hessian <- function(fit) {
  as.list(sqrt(diag(as.matrix(suppressWarnings(vcov(fit, use.hessian = FALSE))))))
}

dir.create(folder, showWarnings = FALSE, recursive = TRUE)
write_episodes(make_episodes(), file.path(folder, "episodes.csv"))
episodes <- read.csv(file.path(folder, "episodes.csv"))
answers <- list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."),
    lme4 = as.character(packageVersion("lme4"))),
  binomial = answer(laplace("binary", binomial, episodes)),
  gaussian_ml = answer(linear(episodes, FALSE)),
  gaussian_reml = answer(linear(episodes, TRUE)),
  gamma = answer(laplace("cost", Gamma(link = "log"), episodes))
)
write_json(answers, file.path(folder, "answers.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
