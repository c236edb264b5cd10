//! Matrices as data of serde; what is read back is checked like what a caller gives.
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{CsrMatrix, Matrix, Real};

#[derive(Serialize, Deserialize)]
struct Dense<V> {
    rows: usize,
    columns: usize,
    /// Row-major.
    data: V,
}

#[derive(Serialize, Deserialize)]
struct Compressed<O, I, V> {
    rows: usize,
    columns: usize,
    offsets: O,
    indices: I,
    values: V,
}

impl<T: Real + Serialize> Serialize for Matrix<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Dense { rows: self.rows(), columns: self.columns(), data: self.as_slice() }.serialize(serializer)
    }
}

impl<'de, T: Real + Deserialize<'de>> Deserialize<'de> for Matrix<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Dense { rows, columns, data } = Dense::<Vec<T>>::deserialize(deserializer)?;
        Self::from_vec(rows, columns, data).map_err(D::Error::custom)
    }
}

impl<T: Real + Serialize> Serialize for CsrMatrix<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (rows, columns) = (self.rows(), self.columns());
        let (offsets, indices, values) = (self.offsets(), self.indices(), self.values());
        Compressed { rows, columns, offsets, indices, values }.serialize(serializer)
    }
}

impl<'de, T: Real + Deserialize<'de>> Deserialize<'de> for CsrMatrix<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Compressed { rows, columns, offsets, indices, values } =
            Compressed::<Vec<usize>, Vec<u32>, Vec<T>>::deserialize(deserializer)?;
        Self::from_parts(rows, columns, offsets, indices, values).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_come_back_and_wrong_ones_are_refused() {
        let dense = Matrix::from_vec(2, 2, vec![1.0, 0.1, 1.0 / 3.0, 1e-300]).unwrap();
        let text = serde_json::to_string(&dense).unwrap();
        assert_eq!(serde_json::from_str::<Matrix>(&text).unwrap(), dense);
        assert!(serde_json::from_str::<Matrix>(&text.replace("\"rows\":2", "\"rows\":3")).is_err());
        let sparse = CsrMatrix::from_parts(2, 3, vec![0, 1, 2], vec![2, 0], vec![1.5, -2.0]).unwrap();
        let text = serde_json::to_string(&sparse).unwrap();
        assert_eq!(serde_json::from_str::<CsrMatrix>(&text).unwrap(), sparse);
        assert!(serde_json::from_str::<CsrMatrix>(&text.replace("[2,0]", "[3,0]")).is_err());
    }
}
