using VirtKit.Accel.Translator.Guests;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>The host registers that hold registers of one ISA, in all blocks.</summary>
internal sealed class RegisterHomes
{
    private static readonly Gp[] Hosts = [Gp.Rbx, Gp.R12, Gp.R13, Gp.Rsi, Gp.Rdi, Gp.R8, Gp.R9, Gp.R10, Gp.R11, Gp.R14];

    private static readonly Xmm[] VectorHosts =
    [
        Xmm.V0, Xmm.V1, Xmm.V2, Xmm.V3, Xmm.V4, Xmm.V5, Xmm.V6, Xmm.V7, Xmm.V8, Xmm.V9, Xmm.V10, Xmm.V11, Xmm.V12, Xmm.V13,
    ];

    private readonly Gp[] _homes = new Gp[GuestRegisterFile.MaxSlots];
    private readonly Xmm[] _vectors = new Xmm[GuestRegisterFile.MaxSlots];

    public RegisterHomes(GuestRegisterFile guest)
    {
        Guest = guest;
        Array.Fill(_homes, Gp.None);
        Array.Fill(_vectors, Xmm.None);
        Pinned = new (int, Gp)[Math.Min(guest.Pinned.Count, Hosts.Length)];
        for (int i = 0; i < Pinned.Length; i++)
        {
            Pinned[i] = (guest.Pinned[i], Hosts[i]);
            _homes[guest.Pinned[i]] = Hosts[i];
        }

        PinnedVectors = new (int, Xmm)[Math.Min(guest.PinnedFloats.Count, VectorHosts.Length)];
        for (int i = 0; i < PinnedVectors.Length; i++)
        {
            PinnedVectors[i] = (guest.PinnedFloats[i], VectorHosts[i]);
            _vectors[guest.PinnedFloats[i]] = VectorHosts[i];
        }
    }

    public GuestRegisterFile Guest { get; }

    /// <summary>The slots of pinned integer registers with their host registers.</summary>
    public (int Slot, Gp Host)[] Pinned { get; }

    /// <summary>The slots of pinned floating-point registers with their host registers.</summary>
    public (int Slot, Xmm Host)[] PinnedVectors { get; }

    /// <summary>The host register of an integer register, or <see cref="Gp.None"/>.</summary>
    public Gp HomeOf(int slot) => _homes[slot];

    /// <summary>The host register of a floating-point register, or <see cref="Xmm.None"/>.</summary>
    public Xmm VectorOf(int slot) => _vectors[slot];
}
