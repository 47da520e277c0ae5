//! Statements of files, as diesel prepares them: once for a connection. `sql_query` is prepared anew each time.

/// A statement whose binds are written `?` in its text, and the struct that has them, in the order of the `?`. What stands
/// before the first `WITH ` is comment.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident of $text:expr; $($field:ident: $rust:ty => $sql:ty,)*) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<'a> {
            $(pub $field: $rust,)*
            pub lifetime: std::marker::PhantomData<&'a ()>,
        }

        const _: () = assert!($crate::statement::binds($text) == [$(stringify!($field)),*].len(), "a field for each `?`");

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name<'_> {
            fn walk_ast<'b>(&'b self, mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>) -> diesel::QueryResult<()> {
                let text: &'static str = $text;
                let statement = text.split_once("WITH ").map_or(text, |(_, statement)| statement);
                let mut pieces = statement.split('?');
                out.push_sql("WITH ");
                $(
                    out.push_sql(pieces.next().unwrap_or_default());
                    out.push_bind_param::<$sql, _>(&self.$field)?;
                )*
                out.push_sql(pieces.next().unwrap_or_default());
                Ok(())
            }
        }
    };
}

pub(crate) use statement;

/// How many binds a statement's text has.
pub(crate) const fn binds(text: &str) -> usize {
    let mut rest = text.as_bytes();
    while let [_, tail @ ..] = rest
        && !matches!(rest, [b'W', b'I', b'T', b'H', b' ', ..])
    {
        rest = tail;
    }
    let mut binds = 0;
    while let [first, tail @ ..] = rest {
        if *first == b'?' {
            binds += 1;
        }
        rest = tail;
    }
    binds
}
