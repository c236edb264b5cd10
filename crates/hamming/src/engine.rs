//! The engines by name.

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// The cheapest by the cost model, for each letter of the pattern.
    #[default]
    Auto,
    /// [`crate::definition`].
    Definition,
    /// [`crate::vertical`].
    Vertical,
    /// [`crate::bitsliced`].
    Bitsliced,
    /// [`crate::fft`].
    Fft,
    /// [`crate::ntt`].
    Ntt,
    /// [`crate::pairs`].
    Pairs,
    /// [`crate::sumset`]; never chosen.
    Sumset,
    /// [`crate::periodic`], which only searches, where all patterns have short periods and match by equality without required
    /// positions; elsewhere the search is as with [`Engine::Auto`], and says so.
    Periodic,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 9] = [
        Engine::Auto,
        Engine::Definition,
        Engine::Vertical,
        Engine::Bitsliced,
        Engine::Fft,
        Engine::Ntt,
        Engine::Pairs,
        Engine::Sumset,
        Engine::Periodic,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Auto => "auto",
            Engine::Definition => "definition",
            Engine::Vertical => "vertical",
            Engine::Bitsliced => "bitsliced",
            Engine::Fft => "fft",
            Engine::Ntt => "ntt",
            Engine::Pairs => "pairs",
            Engine::Sumset => "sumset",
            Engine::Periodic => "periodic",
        }
    }
}
