// The quantile of the normal distribution: turns a uniform number into a normal one, without the
// second number and the trigonometry that Box and Muller's transform takes.
#pragma once

namespace ingot {

/// The z below which a standard normal variable lies with probability p, for p in (0, 1); relative
/// error about 1e-7. Source: Wichura, "Algorithm AS 241: The Percentage Points of the Normal
/// Distribution", Applied Statistics 37, 1988, function PPND7.
double normal_quantile(double p);

}  // namespace ingot
