//! [`Node`]s to any serde type, with errors that know the path and are worth reading.

mod error;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, Visitor, value::BorrowedStrDeserializer},
    forward_to_deserialize_any,
};

use self::error::one_of;
pub(super) use self::error::{DecodeError, Mismatch, nearest};
use super::{
    node::{Entry, Kind, Node},
    path::Step,
};

/// Reads a type from a tree. Holes are passed over as if they were not there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoder<'n>(pub(super) &'n Node);

/// The whole number that a float is: to JSON, `3.0` is `3`, and some write it so.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the bounds that are checked, every whole float is exactly its integer"
)]
fn whole(float: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.fract() == 0.0 && (0.0..=EXACT).contains(&float)).then_some(float as u64)
}

impl<'n> Deserializer<'n> for Decoder<'n> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.kind {
            Kind::Null | Kind::Pruned => visitor.visit_unit(),
            Kind::Bool(truth) => visitor.visit_bool(*truth),
            Kind::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(natural), _, _) => visitor.visit_u64(natural),
                (None, Some(integer), _) => visitor.visit_i64(integer),
                (None, None, Some(float)) => match whole(float) {
                    Some(whole) => visitor.visit_u64(whole),
                    None => visitor.visit_f64(float),
                },
                (None, None, None) => visitor.visit_f64(f64::NAN),
            },
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Kind::Map(entries) => visitor.visit_map(Entries {
                entries,
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    // A section whose lines are all commented out is an empty one.

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.kind {
            Kind::Null => visitor.visit_seq(Items {
                items: &[],
                next: 0,
            }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.kind {
            Kind::Null => visitor.visit_map(Entries {
                entries: &[],
                value: None,
            }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0.kind {
            // Serde would take a list for the fields in their order; nobody means that in a file.
            Kind::List(_) => Err(DecodeError::value("expected a map, not a list")),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let expected = || format!("expected {}", one_of(variants));
        match &self.0.kind {
            Kind::Text(name) => visitor.visit_enum(Variant {
                name,
                content: None,
            }),
            Kind::Map(entries) => match entries.as_slice() {
                [Entry { key, value, .. }] if value.kind != Kind::Pruned => {
                    visitor.visit_enum(Variant {
                        name: key,
                        content: Some(value),
                    })
                }
                _ => Err(DecodeError::value(format!(
                    "{}, and only one of them",
                    expected()
                ))),
            },
            Kind::Number(number) => {
                Err(DecodeError::value(format!("{}, not {number}", expected())))
            }
            _ => Err(DecodeError::value(expected())),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <W: Visitor<'n>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct identifier
    }
}

struct Items<'n> {
    items: &'n [Node],
    next: usize,
}

impl<'n> de::SeqAccess<'n> for Items<'n> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'n>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        while let Some(item) = self.items.get(self.next) {
            let index = self.next;
            self.next += 1;
            if item.kind != Kind::Pruned {
                let value = seed.deserialize(Decoder(item));
                return value
                    .map(Some)
                    .map_err(|error| error.below(Step::Index(index)));
            }
        }
        Ok(None)
    }
}

struct Entries<'n> {
    entries: &'n [Entry],
    value: Option<&'n Entry>,
}

impl<'n> de::MapAccess<'n> for Entries<'n> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'n>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        while let Some((entry, rest)) = self.entries.split_first() {
            self.entries = rest;
            if entry.value.kind != Kind::Pruned {
                self.value = Some(entry);
                let key = seed.deserialize(BorrowedStrDeserializer::new(&entry.key));
                return key
                    .map(Some)
                    .map_err(|error: DecodeError| error.on_key(&entry.key));
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        let Some(entry) = self.value.take() else {
            return Err(DecodeError::value("expected a value"));
        };
        seed.deserialize(Decoder(&entry.value))
            .map_err(|error| error.below(Step::Key(entry.key.clone())))
    }
}

/// An enum's variant: a bare name, or a map from the name to its content.
#[derive(Clone, Copy)]
struct Variant<'n> {
    name: &'n str,
    content: Option<&'n Node>,
}

impl<'n> Variant<'n> {
    /// Reads the content by `read`.
    fn content<T>(
        self,
        read: impl FnOnce(Decoder<'n>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let Some(content) = self.content else {
            return Err(DecodeError::value(format!(
                "`{0}` needs a value: write a map `{0}: …`",
                self.name
            )));
        };
        read(Decoder(content)).map_err(|error| error.below(Step::Key(self.name.into())))
    }
}

impl<'n> de::EnumAccess<'n> for Variant<'n> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'n>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), DecodeError> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(self.name));
        let variant = variant.map_err(|error: DecodeError| match self.content {
            Some(_) => error.on_key(self.name),
            None => error,
        })?;
        Ok((variant, self))
    }
}

impl<'n> de::VariantAccess<'n> for Variant<'n> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(DecodeError::value(format!(
                "`{}` takes no value, write it alone",
                self.name
            ))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'n>>(
        self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        self.content(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.content(|content| content.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'n>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.content(|content| content.deserialize_struct("", fields, visitor))
    }
}
