using System.Text;

namespace VirtKit.State;

/// <summary>An exit as state.</summary>
internal sealed class SavedExit : ISnapshotable
{
    /// <summary>The longest text in UTF-8 bytes; what is longer is cut, as it is for people.</summary>
    private const int MaxText = 4096;

    private VcpuExit? _exit;

    /// <summary>Passes over an exit, or its absence.</summary>
    public static void Visit(StateVisitor visitor, string name, ref VcpuExit? exit)
    {
        var saved = new SavedExit { _exit = exit };
        visitor.Part(name, saved);
        exit = saved._exit;
    }

    public void Visit(StateVisitor visitor)
    {
        bool isThere = _exit is not null;
        visitor.Field("is there", ref isThere);
        if (!isThere)
        {
            _exit = null;
            return;
        }

        VcpuExit exit = _exit ?? default;
        byte reason = (byte)exit.Reason;
        (ulong code, GuestTrap trap) = (exit.Code, exit.FirstTrap ?? default);
        (bool hasDetail, bool hasTrap) = (exit.Detail is not null, exit.FirstTrap is not null);
        (string detail, string description) = (exit.Detail ?? "", trap.Description ?? "");
        (ulong cause, ulong pc, ulong value) = (trap.Cause, trap.Pc.Value, trap.Value);
        visitor.Field("reason", ref reason);
        visitor.Require(Enum.IsDefined((ExitReason)reason), "reason", $"is {reason}");
        visitor.Field("code", ref code);
        visitor.Field("has detail", ref hasDetail);
        Text(visitor, "detail", ref detail);
        visitor.Field("has trap", ref hasTrap);
        visitor.Field("cause", ref cause);
        visitor.Field("pc", ref pc);
        visitor.Field("value", ref value);
        Text(visitor, "description", ref description);
        _exit = new VcpuExit((ExitReason)reason, code, hasDetail ? detail : null) { FirstTrap = hasTrap ? new GuestTrap(cause, new Gva(pc), value, description) : null };
    }

    private static void Text(StateVisitor visitor, string name, ref string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        bytes = bytes[..Math.Min(bytes.Length, MaxText)];
        visitor.Bytes(name, ref bytes, MaxText);
        text = Encoding.UTF8.GetString(bytes);
    }
}
