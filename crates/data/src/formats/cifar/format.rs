//! How the files of CIFAR-10 and CIFAR-100 differ.

/// One of the two sets; CIFAR-100 with one of its two kinds of labels.
pub(crate) struct Format {
    /// What messages call it.
    pub title: &'static str,
    /// What the set is called.
    pub name: &'static str,
    /// The folders inside the official archives.
    pub folders: [&'static str; 2],
    /// The files for training, those of the binary version with `.bin` behind.
    pub train: &'static [&'static str],
    /// The file for testing.
    pub test: &'static str,
    /// The text file with the class names, a line each.
    pub text: &'static str,
    /// The pickle with the class names, and their key.
    pub meta: (&'static str, &'static str),
    /// Label bytes before the pixels, and which of them is the class.
    pub bytes: (usize, usize),
    /// The key of the labels in a python batch.
    pub labels: &'static str,
    /// The names where no file says them, spaces between them.
    pub names: &'static str,
}

/// CIFAR-10.
pub(crate) const TEN: Format = Format {
    title: "CIFAR-10",
    name: "cifar10",
    folders: ["cifar-10-batches-bin", "cifar-10-batches-py"],
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: "test_batch",
    text: "batches.meta.txt",
    meta: ("batches.meta", "label_names"),
    bytes: (1, 0),
    labels: "labels",
    names: "airplane automobile bird cat deer dog frog horse ship truck",
};

/// CIFAR-100 with its 100 classes.
pub(crate) const FINE: Format = Format {
    title: "CIFAR-100",
    name: "cifar100",
    folders: ["cifar-100-binary", "cifar-100-python"],
    train: &["train"],
    test: "test",
    text: "fine_label_names.txt",
    meta: ("meta", "fine_label_names"),
    bytes: (2, 1),
    labels: "fine_labels",
    names: "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel \
            can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur \
            dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion \
            lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree \
            pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea \
            seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank \
            telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm",
};

/// CIFAR-100 with its 20 groups of classes.
pub(crate) const COARSE: Format = Format {
    name: "cifar100-coarse",
    text: "coarse_label_names.txt",
    meta: ("meta", "coarse_label_names"),
    bytes: (2, 0),
    labels: "coarse_labels",
    names: "aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices \
            household_furniture insects large_carnivores large_man-made_outdoor_things \
            large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals non-insect_invertebrates \
            people reptiles small_mammals trees vehicles_1 vehicles_2",
    ..FINE
};

impl Format {
    /// The names where no file says them.
    pub fn classes(&self) -> Vec<String> {
        self.names.split_whitespace().map(str::to_owned).collect()
    }

    /// Bytes of a binary record: labels, then the pixels of the red, the green and the blue plane.
    pub fn record(&self) -> usize {
        self.bytes.0 + super::PIXELS
    }

    /// Whether `name` is the file name of a batch.
    pub fn is_batch(&self, name: &str) -> bool {
        let stem = stem(name);
        stem == self.test || self.train.contains(&stem)
    }

    /// Whether a file with this name, in lower case, holds the set: a batch, or an archive of all.
    pub fn is_file(&self, name: &str) -> bool {
        let archive = name.ends_with(".tar.gz") || name.ends_with(".tgz");
        let hundred = name.contains("cifar-100") || name.contains("cifar100");
        self.is_batch(name) || (archive && hundred == (self.name == FINE.name))
    }

    /// Whether a folder that holds this name, in lower case, holds the set.
    pub fn is_inside(&self, name: &str, is_folder: bool) -> bool {
        if is_folder { self.folders.contains(&name) } else { self.is_batch(name) }
    }

    /// Errors' words for a label out of range: `0 to 9`.
    pub fn range(&self) -> String {
        format!("0 to {}", self.classes().len() - 1)
    }
}

/// A file name without `.bin`.
pub(crate) fn stem(name: &str) -> &str {
    name.strip_suffix(".bin").unwrap_or(name)
}
