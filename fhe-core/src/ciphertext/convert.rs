//! Lossless conversion from and to the `tfhe` crate's ciphertexts.

use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tfhe::core_crypto::prelude::{CiphertextModulus, LweCiphertextOwned};
use tfhe::integer::ciphertext::{DataKind, Expandable};
use tfhe::integer::{BooleanBlock, IntegerCiphertext, IntegerRadixCiphertext, RadixCiphertext, SignedRadixCiphertext};
use tfhe::shortint::ciphertext::{Degree, NoiseLevel};
use tfhe::shortint::parameters::{AtomicPatternKind, CarryModulus, MessageModulus};
use tfhe::shortint::{Ciphertext, CompressedCiphertext, PBSOrder};
use tfhe::{
    CompressedFheBool, CompressedFheInt2, CompressedFheInt4, CompressedFheInt6, CompressedFheInt8, CompressedFheInt10,
    CompressedFheInt12, CompressedFheInt14, CompressedFheInt16, CompressedFheInt32, CompressedFheInt64,
    CompressedFheInt128, CompressedFheInt160, CompressedFheInt256, CompressedFheUint2, CompressedFheUint4,
    CompressedFheUint6, CompressedFheUint8, CompressedFheUint10, CompressedFheUint12, CompressedFheUint14,
    CompressedFheUint16, CompressedFheUint32, CompressedFheUint64, CompressedFheUint128, CompressedFheUint160,
    CompressedFheUint256, FheBool, FheInt2, FheInt4, FheInt6, FheInt8, FheInt10, FheInt12, FheInt14, FheInt16,
    FheInt32, FheInt64, FheInt128, FheInt160, FheInt256, FheUint2, FheUint4, FheUint6, FheUint8, FheUint10, FheUint12,
    FheUint14, FheUint16, FheUint32, FheUint64, FheUint128, FheUint160, FheUint256, ReRandomizationMetadata, Tag,
};

use super::{BlockInfo, Column};
use crate::error::{Error, Result};
use crate::file;
use crate::params::{ParameterSet, Scheme};
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS, Type};

/// Keyswitch first, so that ciphertexts at rest are under the big key.
const PATTERN: AtomicPatternKind = AtomicPatternKind::Standard(PBSOrder::KeyswitchBootstrap);

mod sealed {
    use super::{Ciphertext, ParameterSet, Result, Type};

    pub trait IntoBlocks: Sized + Send {
        /// `None` if it depends on the value.
        const TYPE: Option<Type>;

        /// The type that a value with as many blocks has; `None` if there is none.
        fn ty(&self) -> Option<Type> {
            Self::TYPE
        }

        /// The blocks, least significant first; `what` names the value in errors.
        fn into_blocks(self, params: ParameterSet, what: impl Fn() -> String) -> Result<Vec<Ciphertext>>;
    }

    pub trait FromBlocks: Sized + Send {
        /// The type that `Self` stands for in place of `ty`.
        fn expected(ty: Type) -> Type;

        fn from_blocks(blocks: Vec<Ciphertext>) -> Option<Self>;
    }
}

/// A ciphertext of the `tfhe` crate that becomes a row of a [`Column`]: `FheUint2` to `FheUint256`, `FheInt2` to
/// `FheInt256`, `FheBool`, their compressed forms as a client makes them, `integer::RadixCiphertext`,
/// `integer::SignedRadixCiphertext` and `integer::BooleanBlock`.
///
/// Compressed ciphertexts that were made on a server, by switching the modulus, need a bootstrap to be read and are
/// refused.
pub trait TfheInput: sealed::IntoBlocks {}

/// A ciphertext of the `tfhe` crate that a row of a [`Column`] becomes: those of [`TfheInput`], less the compressed
/// ones.
pub trait TfheValue: TfheInput + sealed::FromBlocks {}

/// The blocks of a compressed ciphertext that a client made, decompressed; `S` is one block or several.
///
/// That a ciphertext is such a one, and which blocks it has, the `tfhe` crate tells nobody outside but its
/// serialisation: it starts with an `enum`, whose first variant is the seeded blocks.
fn decompress<S>(value: &impl Serialize, params: ParameterSet, what: impl Fn() -> String) -> Result<Vec<Ciphertext>>
where
    S: DeserializeOwned + IntoIterator<Item = CompressedCiphertext>,
{
    let unavailable = |reason: &str| Error::Unavailable { what: what(), reason: reason.to_owned() };
    let bytes = postcard::to_allocvec(value).map_err(|_| unavailable("it cannot be serialised"))?;
    let Some((0, seeded)) = bytes.split_first() else {
        return Err(unavailable("its modulus was switched to compress it, which only a bootstrap undoes"));
    };
    let (blocks, _) = postcard::take_from_bytes::<S>(seeded).map_err(|_| unavailable("its form is unknown"))?;
    let modulus = CiphertextModulus::new_native();
    let expand = |block: CompressedCiphertext| {
        let (dimension, found) = (block.ct.lwe_size().to_lwe_dimension().0, block.ct.ciphertext_modulus());
        if dimension != params.big_lwe_dimension() || found != modulus {
            return Err(Error::ParameterMismatch {
                what: what(),
                found: format!("(dimension {dimension}, modulus {found})"),
                expected_by: "the column",
                expected: format!("{params} (dimension {}, modulus {modulus})", params.big_lwe_dimension()),
            });
        }
        if !file::seed_is_sound(&block.ct.compression_seed()) {
            return Err(Error::malformed("a compressed ciphertext", format!("{} has an invalid seed", what())));
        }
        Ok(block.decompress())
    };
    blocks.into_iter().map(expand).collect()
}

macro_rules! high_level {
    ($($value:ident, $compressed:ident => $ty:expr, $inner:ident);* $(;)?) => {$(
        impl TfheInput for $value {}
        impl TfheValue for $value {}
        impl TfheInput for $compressed {}

        impl sealed::IntoBlocks for $value {
            const TYPE: Option<Type> = Some($ty);

            fn into_blocks(self, _: ParameterSet, _: impl Fn() -> String) -> Result<Vec<Ciphertext>> {
                Ok(IntegerRadixCiphertext::into_blocks(self.into_raw_parts().0))
            }
        }

        impl sealed::FromBlocks for $value {
            fn expected(_: Type) -> Type {
                $ty
            }

            fn from_blocks(blocks: Vec<Ciphertext>) -> Option<Self> {
                let metadata = ReRandomizationMetadata::default();
                Some(Self::from_raw_parts($inner::from(blocks), <_>::default(), Tag::default(), metadata))
            }
        }

        impl sealed::IntoBlocks for $compressed {
            const TYPE: Option<Type> = Some($ty);

            fn into_blocks(self, params: ParameterSet, what: impl Fn() -> String) -> Result<Vec<Ciphertext>> {
                decompress::<Vec<CompressedCiphertext>>(&self, params, what)
            }
        }
    )*};
}

high_level! {
    FheUint2, CompressedFheUint2 => Type::Uint(2), RadixCiphertext;
    FheUint4, CompressedFheUint4 => Type::Uint(4), RadixCiphertext;
    FheUint6, CompressedFheUint6 => Type::Uint(6), RadixCiphertext;
    FheUint8, CompressedFheUint8 => Type::Uint(8), RadixCiphertext;
    FheUint10, CompressedFheUint10 => Type::Uint(10), RadixCiphertext;
    FheUint12, CompressedFheUint12 => Type::Uint(12), RadixCiphertext;
    FheUint14, CompressedFheUint14 => Type::Uint(14), RadixCiphertext;
    FheUint16, CompressedFheUint16 => Type::Uint(16), RadixCiphertext;
    FheUint32, CompressedFheUint32 => Type::Uint(32), RadixCiphertext;
    FheUint64, CompressedFheUint64 => Type::Uint(64), RadixCiphertext;
    FheUint128, CompressedFheUint128 => Type::Uint(128), RadixCiphertext;
    FheUint160, CompressedFheUint160 => Type::Uint(160), RadixCiphertext;
    FheUint256, CompressedFheUint256 => Type::Uint(256), RadixCiphertext;
    FheInt2, CompressedFheInt2 => Type::Int(2), SignedRadixCiphertext;
    FheInt4, CompressedFheInt4 => Type::Int(4), SignedRadixCiphertext;
    FheInt6, CompressedFheInt6 => Type::Int(6), SignedRadixCiphertext;
    FheInt8, CompressedFheInt8 => Type::Int(8), SignedRadixCiphertext;
    FheInt10, CompressedFheInt10 => Type::Int(10), SignedRadixCiphertext;
    FheInt12, CompressedFheInt12 => Type::Int(12), SignedRadixCiphertext;
    FheInt14, CompressedFheInt14 => Type::Int(14), SignedRadixCiphertext;
    FheInt16, CompressedFheInt16 => Type::Int(16), SignedRadixCiphertext;
    FheInt32, CompressedFheInt32 => Type::Int(32), SignedRadixCiphertext;
    FheInt64, CompressedFheInt64 => Type::Int(64), SignedRadixCiphertext;
    FheInt128, CompressedFheInt128 => Type::Int(128), SignedRadixCiphertext;
    FheInt160, CompressedFheInt160 => Type::Int(160), SignedRadixCiphertext;
    FheInt256, CompressedFheInt256 => Type::Int(256), SignedRadixCiphertext;
}

macro_rules! radix {
    ($($value:ident => $ty:ident),*) => {$(
        impl TfheInput for $value {}
        impl TfheValue for $value {}

        impl sealed::IntoBlocks for $value {
            const TYPE: Option<Type> = None;

            fn ty(&self) -> Option<Type> {
                let bits = u32::try_from(self.blocks().len()).ok()?.checked_mul(MESSAGE_BITS)?;
                Some(Type::$ty(bits)).filter(|ty| ty.is_supported())
            }

            fn into_blocks(self, _: ParameterSet, _: impl Fn() -> String) -> Result<Vec<Ciphertext>> {
                Ok(IntegerRadixCiphertext::into_blocks(self))
            }
        }

        impl sealed::FromBlocks for $value {
            fn expected(ty: Type) -> Type {
                // A truth value has fewer bits than any integer.
                Type::$ty(ty.bits().max(MESSAGE_BITS))
            }

            fn from_blocks(blocks: Vec<Ciphertext>) -> Option<Self> {
                Some(Self::from(blocks))
            }
        }
    )*};
}

radix!(RadixCiphertext => Uint, SignedRadixCiphertext => Int);

macro_rules! boolean {
    ($($value:ident),*) => {$(
        impl TfheInput for $value {}
        impl TfheValue for $value {}

        impl sealed::IntoBlocks for $value {
            const TYPE: Option<Type> = Some(Type::Bool);

            fn into_blocks(self, _: ParameterSet, _: impl Fn() -> String) -> Result<Vec<Ciphertext>> {
                Ok(vec![self.into_raw_parts()])
            }
        }

        impl sealed::FromBlocks for $value {
            fn expected(_: Type) -> Type {
                Type::Bool
            }

            fn from_blocks(blocks: Vec<Ciphertext>) -> Option<Self> {
                Self::from_expanded_blocks(blocks, DataKind::Boolean).ok()
            }
        }
    )*};
}

boolean!(FheBool, BooleanBlock);

impl TfheInput for CompressedFheBool {}

impl sealed::IntoBlocks for CompressedFheBool {
    const TYPE: Option<Type> = Some(Type::Bool);

    fn into_blocks(self, params: ParameterSet, what: impl Fn() -> String) -> Result<Vec<Ciphertext>> {
        decompress::<[CompressedCiphertext; 1]>(&self, params, what)
    }
}

impl Column {
    /// Takes over ciphertexts of the `tfhe` crate, one per row, in parallel on the current rayon pool.
    ///
    /// A ciphertext does not say under which parameters it was made; `params` does, and every block has to be of its
    /// dimension, moduli and order of keyswitch and bootstrap. Trivial ciphertexts are taken as well. Tags and
    /// re-randomisation metadata are dropped.
    ///
    /// # Errors
    /// [`Error::UncleanCiphertext`] for a block that may hold more than its message (degree above 3, above 1 for a
    /// truth value) or more noise than one bootstrap output; [`Error::ParameterMismatch`] for a block of another shape;
    /// [`Error::Shape`] for a value with too many or too few blocks, or for no values at all of a type whose width only
    /// its values tell (see [`Column::empty`]); [`Error::InvalidOperand`] for a width that has no encrypted type;
    /// [`Error::Unavailable`] for ciphertexts compressed on a server. The first offending row is named.
    pub fn from_tfhe<V: TfheInput>(values: impl IntoIterator<Item = V>, params: ParameterSet) -> Result<Self> {
        Self::convert(values.into_iter().collect(), params, 0)
    }

    /// [`from_tfhe`](Self::from_tfhe), calling the first value row `first` in errors.
    pub(super) fn convert<V: TfheInput>(values: Vec<V>, params: ParameterSet, first: usize) -> Result<Self> {
        let ty = match (V::TYPE, values.first()) {
            (Some(ty), _) => ty,
            (None, Some(value)) => value.ty().ok_or_else(|| Error::InvalidOperand {
                operation: "column".to_owned(),
                reason: format!("row {first} has the width of no encrypted type"),
            })?,
            (None, None) => {
                return Err(Error::Shape { what: "values that tell the type of a column", found: 0, expected: 1 });
            }
        };
        let scheme = Scheme::Encrypted(params);
        if values.is_empty() {
            return Self::empty(ty, scheme);
        }
        let words_per_block = scheme.ciphertext_words();
        let words_per_row = ty.blocks() * words_per_block;
        let mut words = vec![0; values.len() * words_per_row];
        let rows = words.par_chunks_exact_mut(words_per_row).zip(values).enumerate();
        let infos = rows.map(|(row, (words, value))| {
            let row = first + row;
            let blocks = value.into_blocks(params, || format!("row {row} of a {ty} column"))?;
            let targets = words.chunks_exact_mut(words_per_block);
            let check = |(index, (block, words))| take_block(block, words, params, ty, row, index);
            // Other parameters first: they explain another number of blocks.
            let infos = blocks.iter().zip(targets).enumerate().map(check).collect::<Result<Vec<_>>>()?;
            if blocks.len() != ty.blocks() {
                return Err(Error::Shape { what: "blocks of a value", found: blocks.len(), expected: ty.blocks() });
            }
            Ok(infos)
        });
        // Collected before the first error is looked for, so that it is always the same one.
        let infos: Vec<Result<Vec<BlockInfo>>> = infos.collect();
        let mut bounds = vec![BlockInfo { degree: 0, noise_norm2: 0 }; ty.blocks()];
        for infos in infos {
            for (bound, info) in bounds.iter_mut().zip(infos?) {
                *bound = bound.max(info);
            }
        }
        Self::from_words(ty, scheme, words, bounds)
    }

    /// The rows as ciphertexts of the `tfhe` crate, with truthful degrees and noise levels, in parallel on the current
    /// rayon pool. Tags are empty.
    ///
    /// # Errors
    /// [`Error::ParameterMismatch`] for a simulated column; [`Error::TypeMismatch`] if `V` stands for another type.
    pub fn to_tfhe<V: TfheValue>(&self) -> Result<Vec<V>> {
        let (ty, params) = (self.ty(), self.scheme().parameters());
        Scheme::Encrypted(params).expect("the tfhe crate", self.scheme(), || "the column".to_owned())?;
        if V::expected(ty) != ty {
            return Err(Error::TypeMismatch { name: "column".to_owned(), found: ty, expected: V::expected(ty) });
        }
        let rows = self.words().par_chunks_exact(self.row_words());
        let value = |row: &[u64]| {
            let blocks = row.chunks_exact(params.ciphertext_words()).zip(self.infos());
            // `None` only for another number of blocks than the type has.
            V::from_blocks(blocks.map(|(words, info)| give_block(words, *info)).collect()).ok_or(Error::Shape {
                what: "blocks of a value",
                found: self.infos().len(),
                expected: ty.blocks(),
            })
        };
        rows.map(value).collect()
    }

    /// One row of an unsigned column as the `tfhe` crate's radix ciphertext.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no such row; otherwise as [`to_tfhe`](Self::to_tfhe).
    pub fn radix(&self, row: usize) -> Result<RadixCiphertext> {
        let value = self.slice(row..row.saturating_add(1))?.to_tfhe()?.pop();
        value.ok_or(Error::Shape { what: "rows of a column", found: self.rows(), expected: row })
    }
}

/// Checks one block and copies its words.
fn take_block(
    block: &Ciphertext,
    words: &mut [u64],
    params: ParameterSet,
    ty: Type,
    row: usize,
    index: usize,
) -> Result<BlockInfo> {
    let modulus = CiphertextModulus::new_native();
    let found: &[u64] = block.ct.as_ref();
    let fits = found.len() == words.len()
        && block.ct.ciphertext_modulus() == modulus
        && block.message_modulus == params.to_tfhe().message_modulus
        && block.carry_modulus == params.to_tfhe().carry_modulus
        && block.atomic_pattern == PATTERN;
    if !fits {
        return Err(Error::ParameterMismatch {
            what: format!("row {row}, block {index} of a {ty} column"),
            found: format!(
                "(dimension {}, modulus {}, message {}, carry {}, {:?})",
                found.len().saturating_sub(1),
                block.ct.ciphertext_modulus(),
                block.message_modulus.0,
                block.carry_modulus.0,
                block.atomic_pattern,
            ),
            expected_by: "the column",
            expected: format!(
                "{params} (dimension {}, modulus {modulus}, message {}, carry {}, {PATTERN:?})",
                params.big_lwe_dimension(),
                params.to_tfhe().message_modulus.0,
                params.to_tfhe().carry_modulus.0,
            ),
        });
    }
    let (degree, noise_level, max_degree) = (block.degree.get(), block.noise_level().get(), ty.block_max() as u64);
    if degree > max_degree || noise_level > NoiseLevel::NOMINAL.get() {
        let name = format!("{ty} ciphertext");
        return Err(Error::UncleanCiphertext { name, row, block: index, degree, noise_level, max_degree });
    }
    words.copy_from_slice(found);
    // A mask means noise, whatever the ciphertext says of itself.
    let masked = found.split_last().is_some_and(|(_, mask)| mask.iter().any(|&word| word != 0));
    Ok(BlockInfo { degree: degree as u8, noise_norm2: u32::from(masked || noise_level != 0) })
}

fn give_block(words: &[u64], info: BlockInfo) -> Ciphertext {
    Ciphertext::new(
        LweCiphertextOwned::from_container(words.to_vec(), CiphertextModulus::new_native()),
        Degree::new(u64::from(info.degree)),
        NoiseLevel::NOMINAL * info.noise_level(),
        // Both supported sets have the same moduli.
        MessageModulus(MESSAGE_MODULUS as u64),
        CarryModulus(MESSAGE_MODULUS as u64),
        PATTERN,
    )
}
