use std::fmt::Write;

use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Node {
    let mut parsed = parse(None, text).expect("a document");
    assert_eq!(parsed.len(), 1, "{text}");
    let parsed = parsed.remove(0);
    assert!(parsed.faults.is_empty(), "{}", parsed.faults);
    parsed.root
}

fn kind_at(root: &Node, path: &str) -> Kind {
    root.get(&FieldPath::parse(path))
        .map(|node| node.kind.clone())
        .expect(path)
}

/// The only fault that keeps the text from being read, or that is found in it.
fn only_fault(text: &str) -> Fault {
    let faults = match parse(None, text) {
        Ok(parsed) => parsed
            .into_iter()
            .flat_map(|parsed| parsed.faults)
            .collect(),
        Err(faults) => faults,
    };
    assert_eq!(faults.len(), 1, "{text:?}: {faults}");
    faults.into_iter().next().expect("one fault")
}

#[test]
fn scalars_are_what_yaml_1_2_says() {
    let root =
        one("{a: 1, b: '1', c: true, d: yes, e: ~, f: 1.5, g: 18446744073709551615, h: 0x10}");
    assert_eq!(kind_at(&root, "a"), Kind::Number(1.into()));
    assert_eq!(kind_at(&root, "b"), Kind::Text("1".into()));
    assert_eq!(kind_at(&root, "c"), Kind::Bool(true));
    assert_eq!(kind_at(&root, "d"), Kind::Text("yes".into()));
    assert_eq!(kind_at(&root, "e"), Kind::Null);
    assert_eq!(kind_at(&root, "g"), Kind::Number(u64::MAX.into()));
    assert_eq!(kind_at(&root, "h"), Kind::Number(16.into()));
}

#[test]
fn json_reads_with_tabs_escapes_and_surrogate_pairs() {
    let root = one("{\n\t\"a\": \"\\ud83d\\ude00 \\\\ud83d \\/\",\n\t\"b\": [1e3, null]\n}");
    assert_eq!(
        kind_at(&root, "a"),
        Kind::Text("\u{1f600} \\ud83d /".into())
    );
    assert_eq!(kind_at(&root, "b[1]"), Kind::Null);
}

#[test]
fn aliases_repeat_what_their_anchors_name() {
    let root = one("a: &x {k: [1]}\nb: *x\n");
    assert_eq!(kind_at(&root, "b.k[0]"), Kind::Number(1.into()));
}

#[test]
fn what_grows_beyond_bounds_is_one_fault() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let _ = writeln!(
            laughs,
            "a{n}: &a{n} [{}]",
            vec![format!("*a{}", n - 1); 10].join(", ")
        );
    }
    assert!(only_fault(&laughs).message.contains("10000 values"));

    let mut ladder = String::from("a0: &a0 [x]\n");
    for n in 1..100 {
        let _ = writeln!(ladder, "a{n}: &a{n} [*a{}]", n - 1);
    }
    assert!(only_fault(&ladder).message.contains("64 levels"));
    assert!(
        only_fault(&"- ".repeat(100_000))
            .message
            .contains("deeper than 64")
    );
    let fields = (0..20_000).fold(String::new(), |text, n| text + &format!("k{n}: 1\n"));
    assert!(only_fault(&fields).message.contains("at most 10000 fields"));
    let doubles = parse(None, &"k: 1\n".repeat(20_000)).expect_err("faults");
    assert!(doubles.len() <= MAX_FAULTS + 1, "{}", doubles.len());
    assert!(parse(None, &"[".repeat(1_000_000)).is_err());
    assert!(parse(None, &"{a: ".repeat(100_000)).is_err());
}

#[test]
fn what_is_not_yaml_or_not_meant_is_told_with_its_line() {
    let cases = [
        ("a: 1\nb:\n\tc: 2\n", 3, "a tab indents this line"),
        ("a: [1, 2\nb: 3\n", 2, "this is not YAML"),
        ("a: 1\nb: *nowhere\n", 2, "unknown anchor"),
        ("a: &x [*x]\n", 1, "inside what it names"),
        (
            "a:\n  b: 1\n  b: 2\n",
            3,
            "stands here twice, first on line 2",
        ),
        ("a: 1\n2: 3\n", 2, "a field's name is a text"),
        ("a: 1\n[x]: 3\n", 2, "a field's name is a text"),
        (
            "a: 1\nb: !secret x\n",
            2,
            "the tag !secret means nothing here",
        ),
        ("a: 1\nb: !!int x\n", 2, "not what its tag"),
        ("a: .nan\n", 1, "finite"),
        ("a: \u{0}\n", 1, "this is not YAML"),
    ];
    for (text, line, message) in cases {
        let fault = only_fault(text);
        assert_eq!(fault.line, Some(line), "{text:?}: {fault}");
        assert!(fault.message.contains(message), "{text:?}: {fault}");
    }
    assert_eq!(only_fault("a:\n  b: 1\n  b: 2\n").path, "a.b");
}

proptest! {
    /// No text panics, loops or exhausts the stack.
    #[test]
    fn any_text_is_read_or_refused(text in "[ \\n\\t\\[\\]{}:,&*a!#|>'\"?%@~\\\\-]{0,80}") {
        let _ = parse(None, &text);
    }

    /// All of JSON is read, and to what a JSON parser makes of it.
    #[test]
    fn json_means_what_it_means_elsewhere(value in json()) {
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        let Kind::List(items) = one(&text).kind else { panic!("a list") };
        prop_assert_eq!(stripped(&items[0]), value[0].clone());
    }
}

/// A list of one value, of keys and texts of all sorts.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Map, Value};

    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[ -~\u{e9}\u{1f600}\\n\\t]{0,20}".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ -~]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    });
    tree.prop_map(|value| Value::Array(vec![value]))
}

fn stripped(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Null | Kind::Pruned => serde_json::Value::Null,
        Kind::Bool(truth) => (*truth).into(),
        Kind::Number(number) => number.clone().into(),
        Kind::Text(text) => text.clone().into(),
        Kind::List(items) => items.iter().map(stripped).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), stripped(&entry.value)))
            .collect(),
    }
}
