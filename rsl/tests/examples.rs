//! Every example of rsl.md §12 that needs no running service: canonical form, refusal, value after evaluation.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use rsl::evaluate::{Dialect, Symbols, canonicalise, evaluate, evaluate_with};
use rsl::print::print;
use rsl::{Spec, parse};

fn symbols() -> Symbols {
    [(b"HOME".to_vec(), b"/home/u".to_vec()), (b"LOGNAME".to_vec(), b"u".to_vec())].into()
}

/// Canonical text of a source, names as written.
fn printed(source: &str) -> String {
    let spec =
        parse(source.as_bytes()).unwrap_or_else(|error| panic!("{}", error.underline(source.as_bytes())));
    text(&spec)
}

fn text(spec: &Spec) -> String {
    String::from_utf8(print(spec).unwrap()).unwrap()
}

/// Canonical text after evaluation, as the stock library does it.
fn evaluated(source: &str) -> Result<String, String> {
    let spec = parse(source.as_bytes()).unwrap();
    evaluate_with(&spec, &symbols(), Dialect::Stock).map(|spec| text(&spec)).map_err(|error| error.message)
}

#[test]
fn canonical_forms() {
    for (source, expected) in [
        // Shape.
        ("&(executable=/bin/date)", r#"&("executable" = "/bin/date" )"#),
        (" & (executable = /bin/date) (count = 4) ", r#"&("executable" = "/bin/date" )("count" = "4" )"#),
        ("\n&\n(executable=a)\n(count=1)\n", r#"&("executable" = "a" )("count" = "1" )"#),
        ("executable=/bin/date", r#""executable" = "/bin/date" "#),
        (r#"&(a>=b c "d")"#, r#"&("a" >= "b" "c" "d" )"#),
        (
            "&(count>=5)(count<=10)(m!=3)(x<4)(y>2)",
            r#"&("count" >= "5" )("count" <= "10" )("m" != "3" )("x" < "4" )("y" > "2" )"#,
        ),
        ("|(count=1)(count=2)", r#"|("count" = "1" )("count" = "2" )"#),
        (
            "&(|(count=1)(count=2))(executable=a)",
            r#"&(|("count" = "1" )("count" = "2" ))("executable" = "a" )"#,
        ),
        (
            "+(&(executable=a)(count=1))(&(executable=b))",
            r#"+(&("executable" = "a" )("count" = "1" ))(&("executable" = "b" ))"#,
        ),
        ("+(executable=a)", r#"+("executable" = "a" )"#),
        ("&('exe cutable'=a)", r#"&("exe cutable" = "a" )"#),
        (
            r#"&(environment=(A 1)(B "two words")(C $(HOME)))"#,
            r#"&("environment" = ("A" "1" ) ("B" "two words" ) ("C" $("HOME") ) )"#,
        ),
        ("&(a=((b c)(d (e f))))", r#"&("a" = (("b" "c" ) ("d" ("e" "f" ) ) ) )"#),
        ("&(a=(x)y)", r#"&("a" = ("x" ) "y" )"#),
        ("&(a=x(y)z)", r#"&("a" = "x" ("y" ) "z" )"#),
        // rsl.md §2, accepted although unusual.
        ("&(&(a=b))(c=d)", r#"&(&("a" = "b" ))("c" = "d" )"#),
        (r#"&(""=a)"#, r#"&("" = "a" )"#),
        ("&(1=2)", r#"&("1" = "2" )"#),
        ("&(-x=-y)", r#"&("-x" = "-y" )"#),
        ("&(a=(b)c)", r#"&("a" = ("b" ) "c" )"#),
        ("&(a=1)(a=2)", r#"&("a" = "1" )("a" = "2" )"#),
        ("&(a=x+y&z|w)", r#"&("a" = "x+y&z|w" )"#),
        // Literals.
        ("&(arguments=\"a b\" 'c d')", r#"&("arguments" = "a b" "c d" )"#),
        (r#"&(arguments="say ""hi""")"#, r#"&("arguments" = "say ""hi""" )"#),
        ("&(arguments='it''s')", r#"&("arguments" = "it's" )"#),
        (r#"&(executable='a"b')"#, r#"&("executable" = "a""b" )"#),
        (r#"&(arguments=^%a "b" 'c'%)"#, r#"&("arguments" = "a ""b"" 'c'" )"#),
        ("&(arguments=^!x!!y!)", r#"&("arguments" = "x!y" )"#),
        ("&(arguments=^^a^^b^)", r#"&("arguments" = "a^b" )"#),
        ("&(a=^(x((y()", r#"&("a" = "x(y" )"#),
        ("&(a=^ x )", r#"&("a" = "x" )"#),
        ("&(a=^ab\nca)", "&(\"a\" = \"b\nc\" )"),
        (r#"&(arguments="")"#, r#"&("arguments" = "" )"#),
        ("&(arguments=^XX)", r#"&("arguments" = "" )"#),
        ("&(executable=a+b&c|d)", r#"&("executable" = "a+b&c|d" )"#),
        (r#"&(a=b;)(c=\"x\")"#, r#"&("a" = "b;" )("c" = "\" "x\" )"#),
        ("&(executable=a\nb)", r#"&("executable" = "a" "b" )"#),
        ("&(executable=a\rb)", "&(\"executable\" = \"a\rb\" )"),
        (r#"&(a="x"y)"#, r#"&("a" = "x" "y" )"#),
        (r#"&(a='x'"y")"#, r#"&("a" = "x" "y" )"#),
        // Comments.
        ("(* c *)&(a=b)(* d *)", r#"&("a" = "b" )"#),
        ("&(* c ** d *)(executable=a)", r#"&("executable" = "a" )"#),
        ("&(**)(executable=a)", r#"&("executable" = "a" )"#),
        ("&(executable=a(*b*)c)", r#"&("executable" = "a" "c" )"#),
        (r#"&(a="(* no *)")"#, r#"&("a" = "(* no *)" )"#),
        ("&(a=$((* c *)HOME))", r#"&("a" = $("HOME") )"#),
        // Concatenation and variables.
        ("&(stdout=$(HOME)/out)", r#"&("stdout" = $("HOME") # "/out" )"#),
        (r#"&(stdout=$(HOME)#"/out")"#, r#"&("stdout" = $("HOME") # "/out" )"#),
        (r##"&(stdout="a"#"b"#'c')"##, r##"&("stdout" = "a" # "b" # "c" )"##),
        ("&(stdout=x$(HOME)y$(LOGNAME)z)", r##"&("stdout" = "x" # $("HOME") # "y" # $("LOGNAME") # "z" )"##),
        ("&(stdout=$(HOME)$(LOGNAME))", r#"&("stdout" = $("HOME") # $("LOGNAME") )"#),
        ("&(stdout=pre $(HOME) post)", r#"&("stdout" = "pre" $("HOME") "post" )"#),
        (r#"&(executable=$(HOME)"/x")"#, r#"&("executable" = $("HOME") "/x" )"#),
        (r#"&(executable="x"$(HOME))"#, r#"&("executable" = "x" $("HOME") )"#),
        ("&(executable=$(HOME)(x))", r#"&("executable" = $("HOME") ("x" ) )"#),
        ("&(executable=$ (HOME))", r#"&("executable" = $("HOME") )"#),
        ("&(executable=$( HOME ))", r#"&("executable" = $("HOME") )"#),
        ("&(executable=a # b)", r##"&("executable" = "a" # "b" )"##),
        ("&(executable=x+$(HOME))", r##"&("executable" = "x+" # $("HOME") )"##),
        ("&(a=$(home))", r#"&("a" = $("home") )"#),
        ("&(stdout=$(NOSUCH /dev/null))", r#"&("stdout" = $("NOSUCH" "/dev/null") )"#),
        ("&(executable=$(A B C))", r#"&("executable" = $("A" "B") )"#),
    ] {
        assert_eq!(printed(source), expected, "{source:?}");
        // A bare relation at the end of the text prints with a trailing blank; all else is a fixed point.
        assert_eq!(printed(expected), expected, "canonical form of {source:?}");
    }
}

#[test]
fn syntax_errors() {
    for source in [
        "&",
        "()",
        "+",
        "|()",
        "&()",
        "&&(a=b)",
        "&((a=b))",
        "(executable=a)",
        "(a=b)(c=d)",
        "&(a=b)&(c=d)",
        "&(a=b) trailing",
        "&(a=b))",
        "&(a=b",
        "&(a=)",
        "&(a=())",
        "&(a=$())",
        "&(a==b)",
        "&(a=b=c)",
        "&(a=b c=d)",
        "&(a> =b)",
        "&($(X)=a)",
        "&(executable=+a)",
        "&(executable=a!b)",
        "&(executable=~/x)",
        "&(executable=a?b)",
        "&(executable=a*b)",
        "&(a=a/*b)",
        "&\r\n(executable=a)",
        "&(executable=a)\r\n",
        "&(executable=\"a)",
        "&(executable='a)",
        "&(a=^)",
        "&(a=^x)",
        "&(a=b(* open)",
        "&(a=b(*)",
        "&(a=$(HOME)+x)",
        "&(a=$(HOME)&x)",
        "&(a=$(HOME)=x)",
        "&(a=$HOME)",
        "&(a=#b)",
        "&(a=b#)",
        "&(a=(b c)#d)",
        "&(a=b#(c d))",
        "",
        " ",
        "&(a!b)",
        "&(a=b,(c=d)",
    ] {
        assert!(
            parse(source.as_bytes()).is_err(),
            "{source:?} is a syntax error, but gave {:?}",
            parse(source.as_bytes())
        );
    }
}

#[test]
fn names_are_canonicalised_and_values_are_not() {
    let spec = parse(b"&(Max_Wall_Time=10)(maxWallTime=A_b)(&(__X_=$(A_B)))").unwrap();
    assert_eq!(
        text(&canonicalise(&spec)),
        r#"&("maxwalltime" = "10" )("maxwalltime" = "A_b" )(&("x" = $("A_B") ))"#
    );
}

#[test]
fn evaluation() {
    for (source, expected) in [
        ("&(stdout=$(HOME)/out)", r#"&("stdout" = "/home/u/out" )"#),
        (r#"&(stdout=$(HOME)#"/out")"#, r#"&("stdout" = "/home/u/out" )"#),
        (r##"&(stdout="a"#"b"#'c')"##, r#"&("stdout" = "abc" )"#),
        ("&(stdout=x$(HOME)y$(LOGNAME)z)", r#"&("stdout" = "x/home/uyuz" )"#),
        ("&(stdout=$(HOME)$(LOGNAME))", r#"&("stdout" = "/home/uu" )"#),
        ("&(executable=$ (HOME))", r#"&("executable" = "/home/u" )"#),
        ("&(a=(x $(HOME) (y$(LOGNAME))))", r#"&("a" = ("x" "/home/u" ("yu" ) ) )"#),
        ("a=$(HOME)", r#""a" = "/home/u" "#),
        // Substitutions.
        (
            "&(rsl_substitution=(A /a))(stdout=$(A)/b)",
            r#"&("rsl_substitution" = ("A" "/a" ) )("stdout" = "/a/b" )"#,
        ),
        (
            "&(rsl_substitution=(A /a)(B $(A)/b))(stdout=$(B))",
            r#"&("rsl_substitution" = ("A" "/a" ) ("B" "/a/b" ) )("stdout" = "/a/b" )"#,
        ),
        ("&(RSL_SUBSTITUTION=(A 1))(b=$(A))", r#"&("RSL_SUBSTITUTION" = ("A" "1" ) )("b" = "1" )"#),
        ("&(rslsubstitution=(A 1))(b=$(A))", r#"&("rslsubstitution" = ("A" "1" ) )("b" = "1" )"#),
        (
            "&(rsl_substitution=(A 1))(rsl_substitution=(A 2))(b=$(A))",
            r#"&("rsl_substitution" = ("A" "1" ) )("rsl_substitution" = ("A" "2" ) )("b" = "1" )"#,
        ),
        (
            "&(rsl_substitution=(HOME /over))(b=$(HOME))",
            r#"&("rsl_substitution" = ("HOME" "/over" ) )("b" = "/over" )"#,
        ),
        (
            r#"&(rsl_substitution=(A "x y")(B 'q'))(b=$(A)#$(B))"#,
            r#"&("rsl_substitution" = ("A" "x y" ) ("B" "q" ) )("b" = "x yq" )"#,
        ),
        ("&(rsl_substitution=(A 1))(&(b=$(A)))", r#"&("rsl_substitution" = ("A" "1" ) )(&("b" = "1" ))"#),
        (
            "&(rsl_substitution=($(HOME) 1))(rsl_substitution=(A ''))(b=$(A)x)",
            r#"&("rsl_substitution" = ("/home/u" "1" ) )("rsl_substitution" = ("A" "" ) )("b" = "x" )"#,
        ),
        // An inner definition hides an outer one, until its boolean ends.
        (
            "&(rsl_substitution=(A 1))(&(rsl_substitution=(A 2))(b=$(A)))(c=$(A))",
            r#"&("rsl_substitution" = ("A" "1" ) )(&("rsl_substitution" = ("A" "2" ) )("b" = "2" ))("c" = "1" )"#,
        ),
    ] {
        assert_eq!(evaluated(source).as_deref(), Ok(expected), "{source:?}");
    }
}

#[test]
fn evaluation_errors() {
    for source in [
        "&(a=$(home))",
        "&(stdout=$(NOSUCH /dev/null))",
        "&(stdout=$(HOME /dev/null))",
        "&(executable=$(A B C))",
        "&(stdout=$($(X)))",
        "&(stdout=$(A)/b)(rsl_substitution=(A /a))",
        "&(rsl_substitution=A /a)(stdout=$(A))",
        "&(rsl_substitution=(A))(b=c)",
        "&(rsl_substitution=(A b c))(b=c)",
        "&(rsl_substitution=(A (x y)))(b=c)",
        "&(rsl_substitution=((A) b))(b=c)",
        "&(&(rsl_substitution=(A 1)))(b=$(A))",
        "+(&(rsl_substitution=(A 1))(b=$(A)))(&(b=$(A)))",
    ] {
        assert!(evaluated(source).is_err(), "{source:?} gave {:?}", evaluated(source));
    }
}

#[test]
fn evaluation_errors_say_what_would_be_right() {
    let all = [
        "&(a=$(home))",
        "&(a=$(LOGNAMES))",
        "&(a=$(NOSUCH))",
        "&(a=$(HOME /dev/null))",
        "&(a=$(A B C))",
        "&(a=$($(LOGNAME)))",
        "&(a=b#$((c d)))",
        "&(rsl_substitution=(A (x y)))(b=c)",
    ]
    .map(|source| evaluated(source).unwrap_err())
    .join("\n");
    insta::assert_snapshot!(all);
}

/// A server may honour defaults and computed names (rsl.md §6), which stock never does.
#[test]
fn the_documented_dialect_evaluates_more() {
    for (source, expected) in [
        ("&(a=$(NOSUCH /dev/null))", r#"&("a" = "/dev/null" )"#),
        ("&(a=$(HOME /dev/null))", r#"&("a" = "/home/u" )"#),
        ("&(a=$(NOSUCH $(HOME)/x))", r#"&("a" = "/home/u/x" )"#),
        ("&(a=$(NOSUCH $(NOR_THIS z)))", r#"&("a" = "z" )"#),
        ("&(rsl_substitution=(u 5))(a=$($(LOGNAME)))", r#"&("rsl_substitution" = ("u" "5" ) )("a" = "5" )"#),
    ] {
        assert_eq!(
            evaluate(&parse(source.as_bytes()).unwrap(), &symbols()).map(|spec| text(&spec)).as_deref(),
            Ok(expected)
        );
    }
    assert!(evaluate(&parse(b"&(a=$(A b c))").unwrap(), &symbols()).is_err());
    assert!(evaluate(&parse(b"&(a=$(A (b)))").unwrap(), &symbols()).is_err());
}

/// Thirty definitions that each double the one before would make 10 GB.
#[test]
fn growth_by_substitution_is_limited() {
    let mut source = "&(rsl_substitution=(A0 0123456789)".to_owned();
    for n in 1..=30 {
        source += &format!("(A{n} $(A{0})$(A{0}))", n - 1);
    }
    source += ")(b=$(A30))";
    let error = evaluate(&parse(source.as_bytes()).unwrap(), &symbols()).unwrap_err();
    assert!(error.message.contains("grows beyond 1048576 bytes"), "{error}");
}
