//! Certificates of smoothed maps: bounds against scipy, tests of pairs and the overlap against slow
//! rewrites, how often they are wrong, and a network whose smoothed map is known.

mod known;
mod overlap;
mod pairs;
mod probability;
