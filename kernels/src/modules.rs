// Written by `cargo xtask kernels`, not by hand.

use crate::Module;

/// All modules, sorted by name and compute capability.
pub const MODULES: &[Module] = &[
    Module { name: "blind_rotate", compute: 75, ptx: include_str!("../ptx/blind_rotate.compute_75.ptx") },
    Module { name: "blind_rotate", compute: 80, ptx: include_str!("../ptx/blind_rotate.compute_80.ptx") },
    Module { name: "blind_rotate", compute: 90, ptx: include_str!("../ptx/blind_rotate.compute_90.ptx") },
    Module { name: "blind_rotate_hopper", compute: 90, ptx: include_str!("../ptx/blind_rotate_hopper.compute_90.ptx") },
    Module { name: "key_transform", compute: 75, ptx: include_str!("../ptx/key_transform.compute_75.ptx") },
    Module { name: "key_transform", compute: 80, ptx: include_str!("../ptx/key_transform.compute_80.ptx") },
    Module { name: "key_transform", compute: 90, ptx: include_str!("../ptx/key_transform.compute_90.ptx") },
    Module { name: "keyswitch", compute: 75, ptx: include_str!("../ptx/keyswitch.compute_75.ptx") },
    Module { name: "keyswitch", compute: 80, ptx: include_str!("../ptx/keyswitch.compute_80.ptx") },
    Module { name: "keyswitch", compute: 90, ptx: include_str!("../ptx/keyswitch.compute_90.ptx") },
    Module { name: "linear", compute: 75, ptx: include_str!("../ptx/linear.compute_75.ptx") },
    Module { name: "linear", compute: 80, ptx: include_str!("../ptx/linear.compute_80.ptx") },
    Module { name: "linear", compute: 90, ptx: include_str!("../ptx/linear.compute_90.ptx") },
];
