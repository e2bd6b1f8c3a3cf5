//! All operations of programs, with what they cost.
//!
//! A cell is *bootstraps / levels*: the throughput form takes the fewest bootstraps, the latency form the fewest levels,
//! and an engine chooses between them by the number of rows. Bootstraps are the work; levels are what has to wait for
//! each other. Operands are fresh; what a program left stale is refreshed where the next operation needs it.
//!
//! *Norm in* is the largest l2 norm of a sum in front of a bootstrap, in standard deviations of one bootstrap output: 5
//! at most, for which the parameter sets promise a failure probability of at most 2^-128 per bootstrap. *Norm out* and
//! *degree out* are those of the digits of the result, before a program refreshes its outputs. Every width from 2 to
//! 256 bits is counted in `benches/counts.json` of the repository, and a test keeps both tables true.
//!
//! One example for each family, all of them on clear values by [`evaluate`](crate::simulate::evaluate):
//!
//! ```
//! use fhe_core::simulate::evaluate;
//! // Arithmetic wraps, division truncates.
//! assert_eq!(evaluate((200u8, 100u8), |(a, b)| a + b)?, 44);
//! assert_eq!(evaluate((200u8, 7u8), |(a, b)| a.div_rem(b))?, (28, 4));
//! // Overflow is told, or avoided.
//! assert_eq!(evaluate((200u8, 100u8), |(a, b)| a.overflowing_add(b))?, (44, true));
//! assert_eq!(evaluate((200u8, 100u8), |(a, b)| a.saturating_add(b))?, 255);
//! // Bits.
//! assert_eq!(evaluate(0x0fu8, |a| a ^ 0xff)?, 0xf0);
//! assert_eq!(evaluate(0x0fu8, |a| a.leading_zeros())?, 4);
//! assert_eq!(evaluate((1u8, 3u8), |(a, n)| a << n)?, 8);
//! // Comparisons and choices.
//! assert_eq!(evaluate((200u8, 100u8), |(a, b)| a.gt(b).select(a, b))?, 200);
//! assert_eq!(evaluate(500u16, |article| article.match_or(&[(500, 90u8)], 0))?, 90);
//! // Arrays.
//! assert_eq!(evaluate([3i8, -5, 7], |values| values[0].trace().sort(values))?, [-5, 3, 7]);
//! # Ok::<(), fhe_core::Error>(())
//! ```
#![doc = include_str!("../docs/operations.md")]
