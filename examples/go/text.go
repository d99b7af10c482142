package main

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

const frequentWords = 5

// textSummary is what is told of a text.
type textSummary struct {
	Lines         int      `bson:"lines"`
	Words         int      `bson:"words"`
	FrequentWords []string `bson:"frequentWords"`
}

// textStatistics counts lines and words of UTF-8 text that arrives in chunks.
type textStatistics struct {
	notText bool
	lines   int
	words   int
	counts  map[string]int
	// word is the one that the text so far ends in.
	word []byte
	// rest is the first part of a character whose end is in the next chunk.
	rest []byte
}

func (t *textStatistics) add(chunk []byte) {
	if t.notText {
		return
	}
	if bytes.IndexByte(chunk, 0) >= 0 {
		t.notText = true
		return
	}
	text := append(t.rest, chunk...)
	for len(text) > 0 && utf8.FullRune(text) {
		character, size := utf8.DecodeRune(text)
		if character == utf8.RuneError && size == 1 {
			t.notText = true
			return
		}
		if unicode.IsLetter(character) || unicode.IsNumber(character) {
			t.word = append(t.word, text[:size]...)
		} else {
			t.endWord()
		}
		if character == '\n' {
			t.lines++
		}
		text = text[size:]
	}
	t.rest = bytes.Clone(text)
}

func (t *textStatistics) endWord() {
	if len(t.word) == 0 {
		return
	}
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.words++
	t.counts[string(t.word)]++
	t.word = t.word[:0]
}

// finish tells of the whole text; nil if it was none.
func (t *textStatistics) finish() *textSummary {
	if t.notText || len(t.rest) > 0 {
		return nil
	}
	t.endWord()
	// strings.ToLower maps character by character: it knows no final sigma, and no character that becomes two.
	lower := cases.Lower(language.Und, cases.HandleFinalSigma(true))
	counts := map[string]int{}
	for word, count := range t.counts {
		counts[lower.String(word)] += count
	}
	ordered := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), compareUTF16(a, b))
	})
	// Not nil, which would be stored as null.
	frequent := append([]string{}, ordered[:min(len(ordered), frequentWords)]...)
	return &textSummary{Lines: t.lines, Words: t.words, FrequentWords: frequent}
}

// compareUTF16 orders strings by their UTF-16 units, as JavaScript does.
func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}
