//! The requests that are measured.

/// As globusrun sends it.
pub(crate) const TEN_ATTRIBUTES: &[u8] = br#"&("executable" = "/bin/echo" )("arguments" = "a" "b" )("count" = "1" )("job_type" = "single" )("stdout" = "/tmp/x" )("stderr" = "/tmp/y" )("max_time" = "10" )("queue" = "q" )("project" = "p" )("directory" = $("HOME") # "/work" )"#;

/// One whose arguments are a thousand variables, all of them defined in it.
pub(crate) fn thousand_variables() -> Vec<u8> {
    let definitions: String = (0..1000).map(|n| format!("(NAME_{n} /value/{n})")).collect();
    let uses: String = (0..1000).map(|n| format!(" $(NAME_{n})/x")).collect();
    format!("&(rsl_substitution={definitions})(executable=/bin/echo)(arguments={uses})").into_bytes()
}
