package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"
)

// unpack takes the jar's tar archive, or the files wanted of it, into dest.
func (j jar) unpack(file, dest string) (err error) {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	member, err := archive.Open(j.archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, member.Close()) }()
	plain, err := decompress(j.archive, bufio.NewReader(member))
	if err != nil {
		return fmt.Errorf("decompressing %s: %w", j.archive, err)
	}
	// Nothing done through a Root gets out of it, neither by a name with .. in it nor by a link.
	root, err := os.OpenRoot(dest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := untar(plain, root, j.only); err != nil {
		return fmt.Errorf("unpacking %s: %w", j.archive, err)
	}
	for _, name := range slices.Sorted(maps.Keys(j.links)) {
		if err := root.Symlink(j.links[name], name); err != nil {
			return err
		}
	}
	return nil
}

func decompress(name string, r io.Reader) (io.Reader, error) {
	switch path.Ext(name) {
	case ".tbz":
		return bzip2.NewReader(r), nil
	case ".txz":
		return xz.NewReader(r)
	}
	return nil, errors.New("neither .tbz nor .txz")
}

func untar(r io.Reader, root *os.Root, only map[string]string) error {
	taken := 0
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := path.Clean(header.Name)
		if only != nil {
			var wanted bool
			if name, wanted = only[name]; !wanted {
				continue
			}
			taken++
		}
		if err := extract(archive, header, root, name); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	if taken < len(only) {
		return fmt.Errorf("%d of %d files wanted are not in it", len(only)-taken, len(only))
	}
	return nil
}

// extract leaves owners behind, and makes everything readable: the server runs as another user.
func extract(r io.Reader, header *tar.Header, root *os.Root, name string) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return errors.Join(root.MkdirAll(name, 0o755), root.Chmod(name, 0o755)) // whatever the umask
	case tar.TypeReg:
		mode := os.FileMode(0o644)
		if header.Mode&0o111 != 0 {
			mode = 0o755
		}
		return writeFile(r, root, name, mode)
	case tar.TypeSymlink:
		if path.IsAbs(header.Linkname) || strings.HasPrefix(path.Join(path.Dir(name), header.Linkname), "..") {
			return fmt.Errorf("link to %s leads out of the archive", header.Linkname)
		}
		return root.Symlink(header.Linkname, name)
	case tar.TypeLink:
		return root.Link(path.Clean(header.Linkname), name)
	}
	return nil
}

func writeFile(r io.Reader, root *os.Root, name string, mode os.FileMode) (err error) {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Chmod(mode); err != nil { // whatever the umask
		return err
	}
	_, err = io.Copy(file, r)
	return err
}
