using VirtKit.Accel.Translator.Guests;
using VirtKit.Accel.Translator.Ir;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>The register allocation of one block: in a loop, guest registers that it uses often borrow the host registers of pinned ones that it uses less.</summary>
internal sealed class BlockRegisters(RegisterHomes homes)
{
    private readonly Gp[] _homes = new Gp[GuestRegisterFile.MaxSlots];
    private readonly int[] _uses = new int[GuestRegisterFile.MaxSlots];
    private readonly Loan[] _loans = new Loan[GuestRegisterFile.MaxSlots];
    private int _loanCount;

    /// <param name="Guest">The register that is in <paramref name="Host"/> inside the block.</param>
    /// <param name="Pinned">The register that is there outside of it.</param>
    public readonly record struct Loan(byte Guest, byte Pinned, Gp Host);

    public ReadOnlySpan<Loan> Loans => _loans.AsSpan(0, _loanCount);

    /// <summary>The host register of a guest register in this block, or <see cref="Gp.None"/>.</summary>
    public Gp HomeOf(int register) => _homes[register];

    /// <param name="lends">Whether the block runs often enough for what lending costs at its entry and its end.</param>
    public void Assign(IrBlock block, bool lends)
    {
        _loanCount = 0;
        for (int i = 0; i < _homes.Length; i++)
            _homes[i] = homes.HomeOf(i);
        if (!lends || !TryCount(block))
            return;
        while (Find(out byte guest, out byte pinned))
        {
            Gp host = _homes[pinned];
            _loans[_loanCount++] = new Loan(guest, pinned, host);
            _homes[pinned] = Gp.None;
            _homes[guest] = host;
        }
    }

    /// <returns>Whether borrowing pays: not where each iteration calls a helper, which needs every register at its home.</returns>
    private bool TryCount(IrBlock block)
    {
        Array.Clear(_uses);
        foreach (ref readonly IrOp op in block.Ops.AsSpan(0, block.OpCount))
        {
            if (op.Code == IrCode.Fallback)
                return false;
            if (op.Code == IrCode.ReadInteger)
                _uses[op.Detail] += op.Uses;
            else if (op.Code == IrCode.WriteInteger)
                _uses[op.Detail]++;
        }

        return true;
    }

    /// <summary>The register without a host register that is used most, and the pinned one that is used least.</summary>
    private bool Find(out byte guest, out byte pinned)
    {
        guest = pinned = 0;
        int most = 0, least = int.MaxValue;
        for (byte i = 0; i < homes.Guest.Integers; i++)
        {
            if (i == homes.Guest.Zero)
                continue;
            if (_homes[i] == Gp.None && _uses[i] > most && homes.HomeOf(i) == Gp.None)
                (guest, most) = (i, _uses[i]);
            if (_homes[i] != Gp.None && homes.HomeOf(i) != Gp.None && _uses[i] < least)
                (pinned, least) = (i, _uses[i]);
        }

        return most > least;
    }
}
