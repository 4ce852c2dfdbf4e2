//! The one hash that random numbers are keyed with.

/// A bijection that moves every bit: the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
pub fn splitmix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    /// The first outputs of SplitMix64 from the state 0, as its authors' code gives them.
    #[test]
    fn it_is_splitmix64() {
        assert_eq!(super::splitmix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(super::splitmix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }
}
