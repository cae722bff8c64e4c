using System.Text;

namespace VirtKit.Bench.Reports;

/// <summary>A Markdown table whose first column is text and whose other columns are numbers, padded so that it reads as plain text too.</summary>
internal sealed class MarkdownTable(params string[] header)
{
    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells) => _rows.Add(cells);

    public override string ToString()
    {
        int[] widths = [.. header.Select((cell, i) => _rows.Select(r => r[i].Length).Append(cell.Length).Max())];
        var text = new StringBuilder();
        Append(text, header, widths);
        for (int i = 0; i < widths.Length; i++)
            text.Append(i == 0 ? "|" : "").Append(i == 0 ? ":" : "-").Append('-', widths[i]).Append(i == 0 ? "-|" : ":|");
        text.Append('\n');
        foreach (string[] row in _rows)
            Append(text, row, widths);
        return text.ToString();
    }

    private static void Append(StringBuilder text, string[] cells, int[] widths)
    {
        for (int i = 0; i < cells.Length; i++)
            text.Append(i == 0 ? "| " : " ").Append(i == 0 ? cells[i].PadRight(widths[i]) : cells[i].PadLeft(widths[i])).Append(" |");
        text.Append('\n');
    }
}
