//! Operations on many values, as functions of the trace.
//!
//! None is an error of the trace, but for `sort` and `write`, which return none.

use super::{Encrypted, Operand, Trace};
use crate::program::graph::{ExtremumOp, FindOp, NodeId, Op};
use crate::types::{Clear, ClearInteger, ClearUnsigned};

impl Trace {
    /// Wrapping sum of all `values`: cheaper than adding them one by one.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([200u8, 100, 5], |values| values[0].trace().sum(values))?, 49);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn sum<T: ClearInteger>(&self, values: &[Encrypted<T>]) -> Encrypted<T> {
        let nodes = self.nodes("sum", values);
        self.node(Op::Sum(nodes))
    }

    /// Wrapping sum of the `values`, each times its clear weight.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([3i16, 5, 7], |values| values[0].trace().dot(values, &[100, -10, 1]))?, 257);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn dot<T: ClearInteger>(&self, values: &[Encrypted<T>], weights: &[T]) -> Encrypted<T> {
        let values = self.nodes("dot", values);
        self.node(Op::Dot { values, weights: weights.iter().map(|weight| weight.to_bits()).collect() })
    }

    /// How many of `values` are true, wrapping.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([true, false, true], |flags| flags[0].trace().count::<u8>(flags))?, 2);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn count<T: ClearUnsigned>(&self, values: &[Encrypted<bool>]) -> Encrypted<T> {
        let nodes = self.nodes("count", values);
        self.node(Op::Count(nodes))
    }

    /// Whether all of `values` are true: one bootstrap for up to 16 of them.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert!(!evaluate([true, false, true], |flags| flags[0].trace().all(flags))?);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn all(&self, values: &[Encrypted<bool>]) -> Encrypted<bool> {
        let nodes = self.nodes("all", values);
        self.node(Op::All(nodes))
    }

    /// Whether any of `values` is true: one bootstrap for up to 16 of them.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert!(evaluate([false, false, true], |flags| flags[0].trace().any(flags))?);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn any(&self, values: &[Encrypted<bool>]) -> Encrypted<bool> {
        let nodes = self.nodes("any", values);
        self.node(Op::Any(nodes))
    }

    /// The smallest of `values`.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([3i8, -5, 7], |values| values[0].trace().minimum(values))?, -5);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn minimum<T: ClearInteger>(&self, values: &[Encrypted<T>]) -> Encrypted<T> {
        self.extremum(ExtremumOp::Minimum, values)
    }

    /// The largest of `values`.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([3u8, 250, 7], |values| values[0].trace().maximum(values))?, 250);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn maximum<T: ClearInteger>(&self, values: &[Encrypted<T>]) -> Encrypted<T> {
        self.extremum(ExtremumOp::Maximum, values)
    }

    /// The index of the first smallest of `values`, wrapping if there are more than `U` can count.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([3u8, 1, 1], |values| values[0].trace().arg_minimum::<_, u8>(values))?, 1);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn arg_minimum<T: ClearInteger, U: ClearUnsigned>(&self, values: &[Encrypted<T>]) -> Encrypted<U> {
        self.extremum(ExtremumOp::ArgMinimum, values)
    }

    /// The index of the first largest of `values`, wrapping if there are more than `U` can count.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([3u8, 1, 4], |values| values[0].trace().arg_maximum::<_, u8>(values))?, 2);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn arg_maximum<T: ClearInteger, U: ClearUnsigned>(&self, values: &[Encrypted<T>]) -> Encrypted<U> {
        self.extremum(ExtremumOp::ArgMaximum, values)
    }

    /// The `values` in ascending order, by a sorting network.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([3i8, -5, 7], |values| values[0].trace().sort(values))?, [-5, 3, 7]);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn sort<T: ClearInteger>(&self, values: &[Encrypted<T>]) -> Vec<Encrypted<T>> {
        let elements = self.nodes("sort", values);
        (0..values.len() as u32).map(|rank| self.node(Op::Sorted { elements: elements.clone(), rank })).collect()
    }

    /// The value at an encrypted index; 0 (false) where there is none.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// let read = |index: u8| evaluate(([30u8, 40, 50], index), |(values, index)| index.trace().index(values, index));
    /// assert_eq!((read(2)?, read(3)?), (50, 0));
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn index<T: Clear, U: ClearUnsigned>(&self, values: &[Encrypted<T>], index: &Encrypted<U>) -> Encrypted<T> {
        let elements = self.nodes("index", values);
        let index = self.operand("index", index);
        self.node(Op::Index { elements, index })
    }

    /// The `values` after `value` was written to an encrypted index; as they are if there is no such element.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// let written = evaluate(([30u8, 40, 50], 1u8), |(values, index)| index.trace().write(values, index, 9));
    /// assert_eq!(written?, [30, 9, 50]);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn write<T: Clear, U: ClearUnsigned>(
        &self,
        values: &[Encrypted<T>],
        index: &Encrypted<U>,
        value: impl Operand<T>,
    ) -> Vec<Encrypted<T>> {
        let elements = self.nodes("write", values);
        let (index, value) = (self.operand("write", index), value.node("write", self));
        let written = |at| self.node(Op::Written { elements: elements.clone(), index, value, at });
        (0..values.len() as u32).map(written).collect()
    }

    /// Whether one of `values` is equal to `value`.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert!(evaluate([3u8, 4, 5], |values| values[0].trace().contains(values, 5))?);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn contains<T: Clear>(&self, values: &[Encrypted<T>], value: impl Operand<T>) -> Encrypted<bool> {
        let (op, nodes, value) = self.find(FindOp::Contains, values, &value);
        self.node(Op::Find(op, nodes, value))
    }

    /// How many of `values` are equal to `value`, wrapping.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([5u8, 4, 5], |values| values[0].trace().count_equal::<_, u8>(values, 5))?, 2);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn count_equal<T: Clear, U: ClearUnsigned>(
        &self,
        values: &[Encrypted<T>],
        value: impl Operand<T>,
    ) -> Encrypted<U> {
        let (op, nodes, value) = self.find(FindOp::CountEqual, values, &value);
        self.node(Op::Find(op, nodes, value))
    }

    /// The index of the first of `values` that is equal to `value`, or 0 if there is none; and whether there is one.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([3u8, 5, 5], |values| values[0].trace().position::<_, u8>(values, 5))?, (1, true));
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn position<T: Clear, U: ClearUnsigned>(
        &self,
        values: &[Encrypted<T>],
        value: impl Operand<T>,
    ) -> (Encrypted<U>, Encrypted<bool>) {
        let (op, nodes, value) = self.find(FindOp::Position, values, &value);
        let found = self.node(Op::Find(FindOp::Contains, nodes.clone(), value));
        (self.node(Op::Find(op, nodes, value)), found)
    }

    fn extremum<T: Clear, R: Clear>(&self, op: ExtremumOp, values: &[Encrypted<T>]) -> Encrypted<R> {
        let nodes = self.nodes(op.name(), values);
        self.node(Op::Extremum(op, nodes))
    }

    fn find<T: Clear>(
        &self,
        op: FindOp,
        values: &[Encrypted<T>],
        value: &impl Operand<T>,
    ) -> (FindOp, Vec<NodeId>, NodeId) {
        (op, self.nodes(op.name(), values), value.node(op.name(), self))
    }
}
