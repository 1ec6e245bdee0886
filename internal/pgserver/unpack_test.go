package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ulikunitz/xz"
)

// writeJar makes a jar with one .txz archive of the headers, each file's content its name.
func writeJar(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	var compressed bytes.Buffer
	packer, err := xz.NewWriter(&compressed)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(packer)
	for _, h := range headers {
		h.Size = 0
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, h.Name[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	jarWriter := zip.NewWriter(&file)
	member, err := jarWriter.Create("a.txz")
	if err != nil {
		t.Fatal(err)
	}
	store := func() error { _, err := member.Write(compressed.Bytes()); return err }
	for _, finish := range []func() error{archive.Close, packer.Close, store, jarWriter.Close} {
		if err := finish(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "a.jar")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnpack(t *testing.T) {
	jarFile := writeJar(
		t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "./bin/postgres", Typeflag: tar.TypeReg, Mode: 0o700},
		tar.Header{Name: "./bin/postmaster", Typeflag: tar.TypeSymlink, Linkname: "postgres"},
		tar.Header{Name: "lib/libx.so.1", Typeflag: tar.TypeReg, Mode: 0o400},
	)
	dest := t.TempDir()
	if err := (jar{archive: "a.txz"}).unpack(jarFile, dest); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dest, "bin/postmaster")); err != nil || string(text) != "./bin/postgres" {
		t.Errorf("postmaster: %q %v", text, err)
	}
	if !isExecutable(filepath.Join(dest, "bin/postgres")) {
		t.Error("postgres is not executable")
	}

	part := jar{archive: "a.txz", only: map[string]string{"lib/libx.so.1": "lib/libx.so.1"}, links: map[string]string{"lib/libx.so": "libx.so.1"}}
	dest = t.TempDir()
	if err := part.unpack(jarFile, dest); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dest, "lib/libx.so")); err != nil {
		t.Error(err)
	}
	if isDir(filepath.Join(dest, "bin")) {
		t.Error("more was taken than wanted")
	}
	part.only["lib/missing"] = "lib/missing"
	if err := part.unpack(jarFile, t.TempDir()); err == nil || !strings.Contains(err.Error(), "1 of 2 files wanted") {
		t.Errorf("error: %v", err)
	}
}

func TestUnpackStaysInItsDirectory(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"parent":    {{Name: "../escaped", Typeflag: tar.TypeReg}},
		"absolute":  {{Name: "/tmp/pgibex-escaped", Typeflag: tar.TypeReg}},
		"link":      {{Name: "lib/out", Typeflag: tar.TypeSymlink, Linkname: "../../escaped"}},
		"hard link": {{Name: "out", Typeflag: tar.TypeLink, Linkname: "../a.jar"}},
	} {
		t.Run(name, func(t *testing.T) {
			jarFile := writeJar(t, headers...)
			if err := (jar{archive: "a.txz"}).unpack(jarFile, t.TempDir()); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestMakeOnceFillsOnce(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "cache", "tree")
	if err := os.MkdirAll(dest+".part/rest of a killed one", 0o755); err != nil {
		t.Fatal(err)
	}
	var fills atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { // each opens the lock's file for itself, as another process would
			err := makeOnce(t.Context(), dest, func(temp string) error {
				fills.Add(1)
				return os.WriteFile(filepath.Join(temp, "file"), nil, 0o600)
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dest, "file")); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if fills.Load() != 1 {
		t.Errorf("filled %d times", fills.Load())
	}
	if isDir(filepath.Join(dest, "rest of a killed one")) {
		t.Error("what was left of a killed one is in use")
	}
}

func TestMakeOnceLeavesNothingHalf(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "tree")
	if err := makeOnce(t.Context(), dest, func(string) error { return io.ErrUnexpectedEOF }); err == nil {
		t.Error("no error")
	}
	if isDir(dest) || isDir(dest+".part") {
		t.Error("something is left")
	}
}
