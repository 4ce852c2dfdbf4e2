//! `folder:`, a folder of pictures a class.

use super::kind::{READ, Source, existing};
use crate::folder;

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "folder",
    about: "one folder of pictures per class (png, jpeg, bmp, gif, webp, tiff, pnm; grey where the first is), perhaps in \
         train/ and test/, val/, valid/ or validation/; Tiny ImageNet; one larger than `--memory` is read while it \
         is used",
    has_channels: true,
    load: |rest, options| folder::load(existing(rest)?, options),
    ..READ
};
