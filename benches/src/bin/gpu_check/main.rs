//! Checks and measures an NVIDIA card: one executable that needs the driver and nothing else.
//!
//! The work is done by a second process, the worker, which starts itself from this one and notes every result in a
//! journal at once: a kernel that hangs or takes the device down costs its own part of the run and nothing else.
//!
//! | file | |
//! |---|---|
//! | `arguments`, `parts` | command line; what a run consists of, and sizes |
//! | `supervisor`, `journal`, `worker` | the two processes and what they tell each other |
//! | `device` | section 1, with the driver and nvidia-smi |
//! | `answers`, `conformance`, `noise` | sections 2 to 4: is it right |
//! | `curve`, `integers`, `transfers` | sections 5 to 7: how fast is it |
//! | `peer` | section 8, with the feature `peer-gpu` |
//! | `evidence`, `tables` | the file and the tables at the end |

mod answers;
mod arguments;
mod conformance;
mod curve;
mod device;
mod evidence;
mod integers;
mod journal;
mod noise;
mod parts;
#[cfg(feature = "peer-gpu")]
mod peer;
mod supervisor;
mod tables;
mod transfers;
mod worker;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use fhe_gpu::{Device, NoDevice};

use crate::arguments::{Arguments, Section};

/// All is well.
const GOOD: u8 = 0;
/// A check failed.
const FAILED: u8 = 1;
/// There is no usable device.
const NO_DEVICE: u8 = 2;
/// The command line is wrong.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where not even this can be printed, the status has to do.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { GOOD });
        }
    };
    let device = match find(&arguments) {
        Ok(device) => device,
        Err(reason) => {
            eprintln!("no usable device: {reason}");
            return ExitCode::from(NO_DEVICE);
        }
    };
    if arguments.list {
        return ExitCode::from(GOOD);
    }
    let done = match &arguments.worker {
        Some(journal) => worker::run(&arguments, journal),
        None => supervisor::run(&arguments, &device),
    };
    ExitCode::from(done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        FAILED
    }))
}

/// The card that was asked for, or why it cannot be used and what to do.
fn find(arguments: &Arguments) -> Result<Device, String> {
    let devices = fhe_gpu::devices().map_err(|reason| {
        let advice = match &reason {
            NoDevice::NoDriver => {
                "\n  This program needs the driver, version 550 or later, and nothing else of CUDA; `nvidia-smi` shows \
                 whether it works. In a container, pass the card through (for example `--gpus all`)."
            }
            NoDevice::NoneFound => {
                "\n  `nvidia-smi -L` lists the cards; a variable CUDA_VISIBLE_DEVICES may hide them from this program."
            }
            NoDevice::Driver { .. } => {
                "\n  `nvidia-smi` shows whether the driver works; after an update of the driver, restart the machine. In \
                 a container, pass the card through (for example `--gpus all`)."
            }
            _ => "",
        };
        format!("{reason}{advice}")
    })?;
    if arguments.list {
        println!("devices:");
        for device in &devices {
            println!("  {device}");
        }
        println!("sections:");
        for section in Section::value_variants() {
            let help = section.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
            println!("  {:<12} {}", section.name(), help.unwrap_or_default());
        }
    }
    let all = devices.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let found = devices.into_iter().find(|device| device.ordinal == arguments.device);
    let device = found.ok_or_else(|| format!("there is no device {}; found {all}", arguments.device))?;
    if !device.is_supported() {
        let (major, minor) = fhe_gpu::MIN_COMPUTE_CAPABILITY;
        return Err(format!("{device}: the kernels need compute {major}.{minor} or later; found {all}"));
    }
    Ok(device)
}

/// Whether this is no card but the emulator, whose times mean nothing.
fn is_emulated(device: &Device) -> bool {
    device.name.contains("Emulated")
}
