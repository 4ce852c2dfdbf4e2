//! The classes of ImageNet-1k: names and WordNet ids in the order of the logits of published networks.

/// A line a class: id, tab, name. crates/data/imagenet/README.md says where they are from.
const TABLE: &str = include_str!("../imagenet/classes.tsv");

/// The WordNet id and the name of each class, in the order of logits.
pub fn classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.lines().filter_map(|line| line.split_once('\t'))
}

/// Names for classes that are WordNet ids, as the folders of ImageNet are called; none where one is not.
pub fn names_of(ids: &[String]) -> Option<Vec<String>> {
    let name = |id: &String| classes().find(|(known, _)| known == id).map(|(_, name)| name.into());
    ids.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::{classes, names_of};
    use std::collections::BTreeSet;

    #[test]
    fn there_are_a_thousand_and_no_two_are_equal() {
        let all: Vec<_> = classes().collect();
        assert_eq!(all.len(), 1000);
        assert!(all.is_sorted_by_key(|(id, _)| *id), "logits are in the order of ids");
        assert_eq!(all.iter().map(|(_, name)| *name).collect::<BTreeSet<_>>().len(), 1000);
        // As every list of them has it.
        let known = [(0, "n01440764", "tench"), (207, "n02099601", "golden retriever")];
        known.iter().for_each(|&(place, id, name)| assert_eq!(all[place], (id, name)));
        assert_eq!(all[999], ("n15075141", "toilet tissue"));
        let folders = ["n02099601", "n01440764"].map(str::to_owned);
        assert_eq!(names_of(&folders).unwrap(), ["golden retriever", "tench"]);
        assert!(names_of(&["dog".to_owned()]).is_none());
    }
}
