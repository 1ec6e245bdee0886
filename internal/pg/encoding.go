package pg

import (
	"context"
	"fmt"
	"strings"
)

// EncodingError says what is wrong with source.encoding.
type EncodingError struct{ Text string }

func (e *EncodingError) Error() string { return "source.encoding: " + e.Text }

// agreeOnEncoding has a source in SQL_ASCII send its bytes as they are, and makes sure that the target knows what they are said to be.
// Every other source converts by itself.
func (c *Conn) agreeOnEncoding(ctx context.Context, server Server) error {
	if c.Side == Target {
		return c.takeEncoding(ctx, server.Encoding)
	}
	switch own := c.PgConn().ParameterStatus("server_encoding"); {
	case own != "SQL_ASCII" && server.Encoding != "":
		return &EncodingError{fmt.Sprintf("the source's database is in %s, which it converts by itself; remove the key", own)}
	case own != "SQL_ASCII":
		return nil
	case server.Encoding == "":
		server.warnOnce("its database is in SQL_ASCII, which may hold anything; what is not UTF8 will put its table in quarantine",
			"remedy", "if its text is in another encoding, name that in source.encoding: LATIN1, WIN1252, …")
	}
	c.Encoding = converted(server.Encoding)
	// In UTF8 a server from 9.4 on would refuse to send what is not.
	return c.Run(ctx, "SET client_encoding = SQL_ASCII")
}

func (c *Conn) takeEncoding(ctx context.Context, encoding string) error {
	if encoding == "" {
		return nil
	}
	// COPY escapes byte by byte in SQL_ASCII, which only an encoding survives that a database may have: those from 1 to 34.
	var fit bool
	if err := c.QueryRow(ctx, "SELECT pg_char_to_encoding($1) BETWEEN 1 AND 34", encoding).Scan(&fit); err != nil {
		return err
	}
	if !fit {
		return &EncodingError{fmt.Sprintf("%s is no encoding that a database may have; write one of PostgreSQL's names such as LATIN1, WIN1252 or EUC_JP", encoding)}
	}
	c.Encoding = converted(encoding)
	return nil
}

// converted is the encoding to convert from; "" for UTF8, under all its names.
func converted(encoding string) string {
	switch strings.ToUpper(strings.ReplaceAll(encoding, "-", "")) {
	case "UTF8", "UNICODE":
		return ""
	}
	return encoding
}
