package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	_ "image/gif"  // for image.DecodeConfig
	_ "image/jpeg" // for image.DecodeConfig
	_ "image/png"  // for image.DecodeConfig
	"io"
	"math"
	"os"
	"time"

	_ "golang.org/x/image/webp" // for image.DecodeConfig
)

const chunkBytes = 256 << 10

// imageHeadBytes is how many bytes at the start of a file tell an image's format and size.
const imageHeadBytes = 1 << 20

// analysis is what is computed of a file's content, as it is stored: the workers in other languages read it.
type analysis struct {
	// Kind is "image", "text" or "binary".
	Kind  string `bson:"kind"`
	Bytes int64  `bson:"bytes"`
	// Entropy is Shannon's, in bits per byte: 0 for one repeated byte, 8 for noise or compressed data.
	Entropy float64      `bson:"entropy"`
	Image   *imageSize   `bson:"image,omitempty"`
	Text    *textSummary `bson:"text,omitempty"`
	// ComputeMs is the time that computing it took, in ms, without waiting for the disk: what the next reader saves.
	ComputeMs float64 `bson:"computeMs"`
}

// imageSize is what is told of an image; sizes are in pixels.
type imageSize struct {
	Format string `bson:"format"`
	Width  int    `bson:"width"`
	Height int    `bson:"height"`
}

// contentHash is the SHA-256 of a file, in hex.
func contentHash(path string) (string, error) {
	digest := sha256.New()
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := io.Copy(digest, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// analyze reads a file once, in chunks, and computes its statistics.
func analyze(path string) (analysis, error) {
	file, err := os.Open(path)
	if err != nil {
		return analysis{}, err
	}
	defer file.Close()
	var statistics statistics
	var compute time.Duration
	chunk := make([]byte, chunkBytes)
	for {
		read, err := file.Read(chunk)
		started := time.Now()
		statistics.add(chunk[:read])
		compute += time.Since(started)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return analysis{}, err
		}
	}
	started := time.Now()
	result := statistics.finish()
	compute += time.Since(started)
	result.ComputeMs = math.Round(float64(compute.Nanoseconds())/1000) / 1000
	return result, nil
}

// statistics is everything that is told of content that arrives in chunks.
type statistics struct {
	histogram [256]int
	head      []byte
	text      textStatistics
	bytes     int64
}

func (s *statistics) add(chunk []byte) {
	for _, value := range chunk {
		s.histogram[value]++
	}
	if len(s.head) < imageHeadBytes {
		s.head = append(s.head, chunk...)
	}
	s.text.add(chunk)
	s.bytes += int64(len(chunk))
}

func (s *statistics) finish() analysis {
	result := analysis{Kind: "binary", Bytes: s.bytes, Entropy: s.entropy()}
	if size := readImageSize(s.head); size != nil {
		result.Kind, result.Image = "image", size
	} else if text := s.text.finish(); text != nil {
		result.Kind, result.Text = "text", text
	}
	return result
}

func (s *statistics) entropy() float64 {
	bits := 0.0
	for _, count := range s.histogram {
		if count > 0 {
			share := float64(count) / float64(s.bytes)
			// The conversion keeps the compiler from fusing the two operations, whose sum other languages round twice.
			bits -= float64(share * math.Log2(share))
		}
	}
	return math.Floor(bits*1000+0.5) / 1000
}

// readImageSize knows GIF, JPEG, PNG and WebP; nil for anything else.
func readImageSize(head []byte) *imageSize {
	config, format, err := image.DecodeConfig(bytes.NewReader(head))
	if err != nil {
		return nil
	}
	if format == "jpeg" {
		format = "jpg"
	}
	return &imageSize{Format: format, Width: config.Width, Height: config.Height}
}
