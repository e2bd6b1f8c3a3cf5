//! The oracle: a backend that calls the `tfhe` crate's own functions, one ciphertext after the other.
//!
//! It shows that the conformance suite asks for nothing that the `tfhe` crate does not do itself, and it is what other
//! backends are compared with. Nothing in it is made for speed.

use std::ops::Range;

use fhe_core::backend::{Backend, Properties};
use fhe_core::keys::EvaluationKey;
use fhe_core::lookup::{LinearForms, Lookup, LookupTable};
use fhe_core::torus::BOXES;
use fhe_core::{Error, ParameterSet, Result, Scheme};
use tfhe::core_crypto::prelude::{
    CiphertextModulus, CiphertextModulusLog, FourierLweBootstrapKey, FourierLweBootstrapKeyOwned, GlweCiphertext,
    LweBootstrapKey, LweCiphertext, LweDimension, LweKeyswitchKey, LweKeyswitchKeyOwned, ModulusSwitchedLweCiphertext,
    MonomialDegree, PolynomialSize, blind_rotate_assign, convert_standard_lwe_bootstrap_key_to_fourier,
    extract_lwe_sample_from_glwe_ciphertext, keyswitch_lwe_ciphertext, lwe_ciphertext_centered_binary_modulus_switch,
};

/// The `tfhe` crate as a backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceBackend;

/// Keyswitching and bootstrapping key in the `tfhe` crate's form.
#[derive(Debug)]
pub struct ReferenceKey {
    params: ParameterSet,
    keyswitching: LweKeyswitchKeyOwned<u64>,
    bootstrapping: FourierLweBootstrapKeyOwned,
}

impl ReferenceKey {
    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> ParameterSet {
        self.params
    }

    /// The keyswitching key, 64-bit words.
    #[must_use]
    pub fn keyswitching(&self) -> &LweKeyswitchKeyOwned<u64> {
        &self.keyswitching
    }

    /// The bootstrapping key in the Fourier domain.
    #[must_use]
    pub fn bootstrapping(&self) -> &FourierLweBootstrapKeyOwned {
        &self.bootstrapping
    }
}

/// Ciphertexts of a number of words each, one after the other.
#[derive(Debug)]
pub struct Blocks<T> {
    words: Vec<T>,
    size: usize,
}

impl<T: Clone + Default> Blocks<T> {
    /// Ciphertexts of `size` words each.
    #[must_use]
    pub fn from_words(words: Vec<T>, size: usize) -> Self {
        Self { words, size }
    }

    fn new(count: usize, size: usize) -> Self {
        Self { words: vec![T::default(); count * size], size }
    }

    fn len(&self) -> usize {
        self.words.len() / self.size
    }

    fn get(&self, index: usize) -> &[T] {
        &self.words[index * self.size..][..self.size]
    }

    fn get_mut(&mut self, index: usize) -> &mut [T] {
        &mut self.words[index * self.size..][..self.size]
    }

    fn range(&self, range: &Range<usize>) -> Result<&[T]> {
        enough(self.len(), range.end)?;
        enough(range.end, range.start)?;
        Ok(&self.words[range.start * self.size..range.end * self.size])
    }
}

/// A switched ciphertext in the form that the `tfhe` crate rotates by.
struct Switched<'a>(&'a [u16], CiphertextModulusLog);

impl ModulusSwitchedLweCiphertext<usize> for Switched<'_> {
    fn log_modulus(&self) -> CiphertextModulusLog {
        self.1
    }

    fn lwe_dimension(&self) -> LweDimension {
        LweDimension(self.0.len() - 1)
    }

    fn body(&self) -> usize {
        usize::from(self.0[self.0.len() - 1])
    }

    fn mask(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.0[..self.0.len() - 1].iter().map(|&word| usize::from(word))
    }
}

fn enough(given: usize, needed: usize) -> Result<()> {
    if given >= needed {
        return Ok(());
    }
    Err(Error::Shape { what: "argument of the reference", found: given, expected: needed })
}

fn log_modulus(params: ParameterSet) -> CiphertextModulusLog {
    PolynomialSize(params.polynomial_size()).to_blind_rotation_input_modulus_log()
}

impl Backend for ReferenceBackend {
    type Key = ReferenceKey;
    type Forms = LinearForms;
    type Tables = Vec<LookupTable>;
    type Lookups = Vec<Lookup>;
    type Ciphertexts = Blocks<u64>;
    type Switched = Blocks<u16>;

    fn properties(&self) -> Properties {
        Properties {
            name: "tfhe",
            device: "the tfhe crate".to_owned(),
            parallelism: 1,
            level_overhead: 0,
            batch: 1,
            memory: 1 << 30,
        }
    }

    fn load_key(&self, key: &EvaluationKey) -> Result<Self::Key> {
        let params = key.scheme().parameters();
        Scheme::Encrypted(params).expect("the tfhe crate", key.scheme(), || "evaluation key".to_owned())?;
        let standard = key.expand()?;
        let literal = params.to_tfhe();
        let modulus = CiphertextModulus::new_native();
        let keyswitching = LweKeyswitchKey::from_container(
            standard.keyswitching_key,
            literal.ks_base_log,
            literal.ks_level,
            literal.lwe_dimension.to_lwe_size(),
            modulus,
        );
        let (glwe_size, polynomial_size) = (literal.glwe_dimension.to_glwe_size(), literal.polynomial_size);
        let (base_log, levels) = (literal.pbs_base_log, literal.pbs_level);
        let words = standard.bootstrapping_key;
        let words = LweBootstrapKey::from_container(words, glwe_size, polynomial_size, base_log, levels, modulus);
        let dimension = literal.lwe_dimension;
        let mut bootstrapping = FourierLweBootstrapKey::new(dimension, glwe_size, polynomial_size, base_log, levels);
        convert_standard_lwe_bootstrap_key_to_fourier(&words, &mut bootstrapping);
        Ok(ReferenceKey { params, keyswitching, bootstrapping })
    }

    fn load_forms(&self, forms: &LinearForms) -> Result<Self::Forms> {
        Ok(forms.clone())
    }

    fn load_tables(&self, _: &Self::Key, tables: &[LookupTable]) -> Result<Self::Tables> {
        Ok(tables.to_vec())
    }

    fn load_lookups(&self, tables: &Self::Tables, lookups: &[Lookup]) -> Result<Self::Lookups> {
        for lookup in lookups {
            enough(tables.len(), lookup.table as usize + 1)?;
            lookup.outputs.iter().try_for_each(|output| enough(BOXES, output.at as usize + 1))?;
        }
        Ok(lookups.to_vec())
    }

    fn allocate(&self, key: &Self::Key, count: usize) -> Result<Self::Ciphertexts> {
        Ok(Blocks::new(count, key.params.ciphertext_words()))
    }

    fn allocate_switched(&self, key: &Self::Key, count: usize) -> Result<Self::Switched> {
        Ok(Blocks::new(count, key.params.lwe_dimension() + 1))
    }

    fn upload(&self, words: &[u64], target: &mut Self::Ciphertexts, at: usize) -> Result<()> {
        let (count, rest) = (words.len() / target.size, words.len() % target.size);
        enough(0, rest)?;
        enough(target.len(), at.saturating_add(count))?;
        target.words[at * target.size..][..words.len()].copy_from_slice(words);
        Ok(())
    }

    fn download(&self, source: &Self::Ciphertexts, range: Range<usize>, words: &mut [u64]) -> Result<()> {
        let found = source.range(&range)?;
        enough(words.len(), found.len())?;
        enough(found.len(), words.len())?;
        words.copy_from_slice(found);
        Ok(())
    }

    fn download_switched(&self, source: &Self::Switched, range: Range<usize>) -> Result<Vec<u16>> {
        source.range(&range).map(<[u16]>::to_vec)
    }

    fn linear(
        &self,
        forms: &Self::Forms,
        rows: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Ciphertexts,
    ) -> Result<()> {
        enough(source.len(), forms.slots().saturating_mul(rows))?;
        enough(target.len(), forms.len().saturating_mul(rows))?;
        for (index, (terms, constant)) in forms.iter().enumerate() {
            for row in 0..rows {
                let sum = target.get_mut(index * rows + row);
                sum.fill(0);
                sum[source.size - 1] = constant;
                for term in terms {
                    let factor = i64::from(term.coefficient) as u64;
                    for (sum, word) in sum.iter_mut().zip(source.get(term.slot as usize * rows + row)) {
                        *sum = sum.wrapping_add(word.wrapping_mul(factor));
                    }
                }
            }
        }
        Ok(())
    }

    fn keyswitch(
        &self,
        key: &Self::Key,
        count: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Switched,
    ) -> Result<()> {
        enough(source.len(), count)?;
        enough(target.len(), count)?;
        for index in 0..count {
            let modulus = CiphertextModulus::new_native();
            let block = LweCiphertext::from_container(source.get(index), modulus);
            let mut small = LweCiphertext::new(0, key.keyswitching.output_lwe_size(), modulus);
            keyswitch_lwe_ciphertext(&key.keyswitching, &block, &mut small);
            let switched = lwe_ciphertext_centered_binary_modulus_switch::<u64, u64, _>(small, log_modulus(key.params));
            let words = switched.mask().chain([switched.body()]);
            for (target, word) in target.get_mut(index).iter_mut().zip(words) {
                *target = word as u16;
            }
        }
        Ok(())
    }

    fn bootstrap(
        &self,
        key: &Self::Key,
        tables: &Self::Tables,
        lookups: &Self::Lookups,
        rows: usize,
        source: &Self::Switched,
        target: &mut Self::Ciphertexts,
    ) -> Result<()> {
        for lookup in lookups {
            enough(tables.len(), lookup.table as usize + 1)?;
            enough(source.len(), (lookup.input as usize + 1).saturating_mul(rows))?;
            for output in &lookup.outputs {
                enough(target.len(), (output.slot as usize + 1).saturating_mul(rows))?;
            }
        }
        let (modulus, size) = (CiphertextModulus::new_native(), key.params.polynomial_size());
        for (lookup, row) in lookups.iter().flat_map(|lookup| (0..rows).map(move |row| (lookup, row))) {
            // A trivial GLWE ciphertext of the table: mask 0.
            let mut words = vec![0; key.params.glwe_dimension() * size];
            words.extend(tables[lookup.table as usize].polynomial(size));
            let mut accumulator = GlweCiphertext::from_container(words, PolynomialSize(size), modulus);
            let input = Switched(source.get(lookup.input as usize * rows + row), log_modulus(key.params));
            blind_rotate_assign(&input, &mut accumulator, &key.bootstrapping);
            for output in &lookup.outputs {
                let block = target.get_mut(output.slot as usize * rows + row);
                let mut block = LweCiphertext::from_container(block, modulus);
                let degree = MonomialDegree(output.at as usize * size / BOXES);
                extract_lwe_sample_from_glwe_ciphertext(&accumulator, &mut block, degree);
            }
        }
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}
