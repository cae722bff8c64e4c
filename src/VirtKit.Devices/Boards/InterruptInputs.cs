namespace VirtKit.Devices.Boards;

/// <summary>The inputs of a board's interrupt controller, and who has which.</summary>
/// <param name="line">Gives the line into an input.</param>
/// <param name="first">The lowest input that there is.</param>
/// <param name="last">The highest one.</param>
/// <param name="firstFree">The lowest input that is given to who does not name one.</param>
/// <param name="lastFree">The highest such.</param>
internal sealed class InterruptInputs(Func<int, InterruptLine> line, int first, int last, int firstFree, int lastFree)
{
    private readonly Dictionary<int, string> _owners = [];

    /// <summary>Sets an input aside for something that is no device of the board's.</summary>
    public void Reserve(int input, string owner) => _owners.Add(input, owner);

    /// <summary>Takes an input, or the next free one.</summary>
    /// <exception cref="ArgumentException">It does not exist or is taken, or none is free.</exception>
    public (int Input, InterruptLine Line) Take(int? wanted, string owner)
    {
        if (wanted < first || wanted > last)
            throw BoardOptions.Refusal($"{owner}: interrupt inputs are {first} to {last}, not {wanted}.");
        if (wanted is { } taken && _owners.TryGetValue(taken, out string? other))
            throw BoardOptions.Refusal($"{owner}: interrupt input {taken} is taken by {other}.");
        int input = wanted ?? NextFree(owner);
        _owners.Add(input, owner);
        return (input, line(input));
    }

    private int NextFree(string owner)
    {
        for (int input = firstFree; input <= lastFree; input++)
        {
            if (!_owners.ContainsKey(input))
                return input;
        }

        throw BoardOptions.Refusal($"{owner}: no interrupt input of {firstFree} to {lastFree} is free.");
    }
}
