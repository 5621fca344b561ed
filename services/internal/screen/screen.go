package screen

import (
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width is how many columns the terminal w has; 0 if it is none, or does not say.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// Start sets what holds for the whole process: colour only if standard output is a terminal and NO_COLOR is not set
// (https://no-color.org), and characters whose width is ambiguous are narrow in every locale, as terminals draw them.
func Start() {
	text.OverrideRuneWidthEastAsianWidth(false)
	if !IsTerminal(os.Stdout) || os.Getenv("NO_COLOR") != "" {
		text.DisableColors()
	}
}

// Fit cuts a line to the given number of columns; with 0 it is left as it is.
func Fit(line string, width int) string {
	if width <= 0 || text.StringWidthWithoutEscSequences(line) <= width {
		return line
	}
	return text.Snip(line, width, "…")
}

// Count is a number with its thousands apart.
func Count(n int64) string { return printer.Sprintf("%d", n) }

var printer = message.NewPrinter(language.English)

// Pad fills a text with spaces up to the given number of columns.
func Pad(s string, width int) string { return text.Pad(s, width, ' ') }
