package main

import (
	"io/fs"
	"path/filepath"
	"time"
)

// foundFile is a file as the folder shows it, without reading it.
type foundFile struct {
	path     string
	bytes    int64
	modified time.Time
}

// walk finds all regular files below a folder, in a stable order; links are not followed.
func walk(folder string) ([]foundFile, error) {
	var found []foundFile
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found = append(found, foundFile{path, info.Size(), info.ModTime()})
		}
		return err
	})
	return found, err
}
