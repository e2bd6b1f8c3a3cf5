//! Settings, from the environment and by `fheEmulatorControl`.

use std::env;

/// A call that is to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    pub device: usize,
    /// Name of the function without a version suffix.
    pub call: String,
    /// 1 is the next one.
    pub nth: u64,
    /// The error code.
    pub code: i32,
}

/// What the emulated machine is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub devices: usize,
    /// `10·major + minor`.
    pub compute: u32,
    /// Bytes of memory of a device.
    pub memory: usize,
    pub multiprocessors: u32,
    /// Threads of the host that run blocks.
    pub threads: usize,
    /// Seed of a random order of threads and blocks.
    pub shuffle: Option<u64>,
    /// Errors of a kernel are returned by its launch, not by the next call.
    pub blocking: bool,
    /// Names every call on the standard error stream.
    pub trace: bool,
    pub fail: Vec<Fail>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            devices: 1,
            compute: 90,
            memory: 4 << 30,
            multiprocessors: 4,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            shuffle: None,
            blocking: false,
            trace: false,
            fail: Vec::new(),
        }
    }
}

impl Settings {
    /// Variables `FHE_EMULATOR_*` and `CUDA_LAUNCH_BLOCKING`. What cannot be read is reported and left out.
    pub fn from_environment() -> Self {
        let mut settings = Self::default();
        for name in ["devices", "compute", "memory", "sms", "threads", "shuffle", "trace", "fail"] {
            if let Ok(value) = env::var(format!("FHE_EMULATOR_{}", name.to_uppercase()))
                && let Err(error) = settings.set(name, &value)
            {
                eprintln!("emulator: FHE_EMULATOR_{}: {error}", name.to_uppercase());
            }
        }
        settings.blocking = env::var("CUDA_LAUNCH_BLOCKING").is_ok_and(|value| value == "1");
        settings
    }

    /// Changes one of them.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "devices" => self.devices = number(value)?,
            "compute" => self.compute = compute(value)?,
            "memory" => self.memory = number(value)?,
            "sms" => self.multiprocessors = number::<u32>(value)?.max(1),
            "threads" => self.threads = number::<usize>(value)?.max(1),
            "shuffle" => self.shuffle = if value.is_empty() || value == "off" { None } else { Some(number(value)?) },
            "blocking" => self.blocking = value == "1",
            "trace" => self.trace = !value.is_empty() && value != "0",
            "fail" => {
                self.fail = value.split(',').filter(|part| !part.is_empty()).map(fail).collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("there is no setting `{name}`")),
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{value}` is not a number"))
}

fn compute(value: &str) -> Result<u32, String> {
    let (major, minor) = value.split_once('.').ok_or_else(|| format!("`{value}` is not a version such as 9.0"))?;
    Ok(10 * number::<u32>(major)? + number::<u32>(minor)?)
}

/// `<device>:<call>:<nth>[:<code>]`.
fn fail(value: &str) -> Result<Fail, String> {
    let parts: Vec<&str> = value.split(':').collect();
    let (device, call, nth, code) = match parts[..] {
        [device, call, nth] => (device, call, nth, if call.starts_with("cuLaunch") { 719 } else { 999 }),
        [device, call, nth, code] => (device, call, nth, number(code)?),
        _ => return Err(format!("`{value}` is not <device>:<call>:<nth>[:<code>]")),
    };
    Ok(Fail { device: number(device)?, call: call.into(), nth: number(nth)?, code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let mut settings = Settings::default();
        settings.set("compute", "7.5").expect("a version");
        assert_eq!(settings.compute, 75);
        settings.set("fail", "0:cuLaunchKernel:3,1:cuMemAlloc:1:2").expect("two of them");
        assert_eq!(settings.fail[0], Fail { device: 0, call: "cuLaunchKernel".into(), nth: 3, code: 719 });
        assert_eq!(settings.fail[1].code, 2);
        assert!(settings.set("fail", "0:cuLaunchKernel").is_err());
        assert!(settings.set("devices", "x").is_err());
        assert!(settings.set("colour", "red").is_err());
    }
}
